/** Used until the server's own lists have been read, and for the order in which values are shown; the server's decide. */
export const KNOWN_CODES: Record<string, string[]> = {
  decline_reason: ["busy", "too_far", "unsafe", "equipment", "shift_ending", "other"],
  equipment: [
    "vehicle", "radio", "body_armour", "stop_sign", "torch", "search_tools", "test_kits", "seals_bags", "first_aid",
    "fire_extinguisher",
  ],
  pause_reason: ["diverted", "break", "equipment", "waiting", "handover", "other"],
  fail_reason: ["not_found", "not_carried_out"],
  task_result: ["nothing_found", "documents_irregular", "minor_irregularity", "violation", "obstruction"],
  capability: ["xray", "dog", "fuel_test", "cash_dog", "drone", "weapon_search"],
  violation_category: [
    "tobacco", "alcohol", "fuel", "drugs", "cash", "weapons", "non_declaration", "undervaluation",
    "misclassification", "ipr_health_safety", "environment", "explosives", "dual_use_strategic", "sanctions",
    "cultural_heritage", "traffic_document", "other",
  ],
  method: [
    "hidden_compartment", "in_cargo", "undeclared_open", "on_body", "in_fuel_tank", "in_tyre", "false_documents",
    "mail_parcel", "balloon_drone", "river_float", "train_throw_off", "other",
  ],
  goods_category: [
    "cigarettes", "cigars", "fine_cut", "other_smoking_tobacco", "heated_e_liquids", "spirits", "ethyl_alcohol", "beer",
    "wine", "intermediate", "energy_products", "drugs", "medicines", "cash", "weapons", "counterfeit", "food_animal",
    "cites", "vehicle", "electronics", "textiles", "strategic_goods", "waste", "other",
  ],
  control_reason: [
    "random", "officer_observation", "indicator", "reasonable_doubt", "planned_operation", "intelligence", "rerouted",
    "partner_request",
  ],
  control_type: [
    "documentary", "physical_partial", "physical_full", "x_ray", "dog", "fuel_sample", "cash", "weighing",
    "person_search", "premises",
  ],
  no_seizure_reason: [
    "nothing_to_seize", "documents_only", "duty_collected", "handed_over", "sent_back", "decision_pending", "other",
  ],
  quantity_unit: ["piece", "pack", "kg", "g", "l", "m3", "eur"],
  measure: [
    "released", "warning", "fine", "detention", "seizure", "duty_collected", "handed_to_police", "handed_to_other",
    "arrest", "re_export", "sample_taken",
  ],
};
