"""The value lists (domain.md 2.3): what each coded field may hold. Labels are in the pages' catalogues."""

TASK_KIND = (
    "patrol_area", "stop_vehicle", "control_declaration", "escort", "surveillance", "checkpoint", "scan_request",
    "premises_check", "support_unit", "pick_up_seizure", "joint_operation", "watercraft_check", "other",
)  # fmt: skip
TASK_PRIORITY = ("P1", "P2", "P3", "P4")
CONTROL_REASON = (
    "indicator", "intelligence", "rerouted", "random", "officer_observation", "partner_request",
    "planned_operation", "reasonable_doubt",
)  # fmt: skip
DECLINE_REASON = ("busy", "too_far", "unsafe", "equipment", "shift_ending", "other")
FAIL_REASON = ("not_found", "not_carried_out")
PAUSE_REASON = ("diverted", "break", "equipment", "waiting", "handover", "other")
TASK_RESULT = (
    "nothing_found", "documents_irregular", "minor_irregularity", "violation", "obstruction", "not_found",
    "not_carried_out",
)  # fmt: skip
CONTROL_TYPE = (
    "documentary", "physical_partial", "physical_full", "x_ray", "dog", "fuel_sample", "cash", "weighing",
    "person_search", "premises",
)  # fmt: skip
MEASURE = (
    "released", "warning", "fine", "detention", "seizure", "duty_collected", "handed_to_police", "handed_to_other",
    "arrest", "re_export", "sample_taken",
)  # fmt: skip
NO_SEIZURE_REASON = (
    "nothing_to_seize", "documents_only", "duty_collected", "handed_over", "sent_back", "decision_pending", "other",
)  # fmt: skip
"""Why a violation was found and nothing seized or detained."""
QUANTITY_UNIT = ("piece", "pack", "kg", "g", "l", "m3", "eur")
NOTICE_KIND = (
    "be_on_lookout", "safety_warning", "indicator_alert", "information", "route_closure", "recall", "exercise",
    "system",
)  # fmt: skip
UNIT_KIND = ("patrol", "fast", "scanner", "dog", "boat", "plain_clothes", "joint")
UNIT_STATUS = (
    "off_duty", "available", "assigned", "en_route", "on_scene", "paperwork", "break", "out_of_service", "emergency",
)  # fmt: skip
EQUIPMENT = (
    "vehicle", "radio", "body_armour", "stop_sign", "torch", "search_tools", "test_kits", "seals_bags", "first_aid",
    "fire_extinguisher",
)  # fmt: skip
"""What a crew checks before it drives off."""
CAPABILITY = ("xray", "dog", "fuel_test", "cash_dog", "drone", "weapon_search")
CAPABILITY_PATTERN = r"^(xray|dog|fuel_test|cash_dog|drone|weapon_search|language:[a-z]{2,3})$"
VIOLATION_CATEGORY = (
    "drugs", "environment", "ipr_health_safety", "tobacco", "alcohol", "fuel", "undervaluation", "misclassification",
    "non_declaration", "weapons", "dual_use_strategic", "explosives", "cultural_heritage", "cash", "sanctions",
    "traffic_document", "other",
)  # fmt: skip
METHOD = (
    "hidden_compartment", "in_cargo", "in_fuel_tank", "in_tyre", "on_body", "false_documents", "undeclared_open",
    "mail_parcel", "balloon_drone", "river_float", "train_throw_off", "other",
)  # fmt: skip
GOODS_CATEGORY = (
    "cigarettes", "cigars", "fine_cut", "other_smoking_tobacco", "beer", "wine", "intermediate", "spirits",
    "ethyl_alcohol", "energy_products", "heated_e_liquids", "drugs", "medicines", "weapons", "cash", "counterfeit",
    "food_animal", "cites", "vehicle", "electronics", "textiles", "strategic_goods", "waste", "other",
)  # fmt: skip
CORRECTION_REASON = ("place", "time", "category", "quantity", "valuation", "text", "other")
CONSULTATION_REASON = (
    "task_review", "incident", "complaint", "officer_safety", "case_work", "access_request", "data_quality", "other",
)  # fmt: skip
"""Why somebody looks at where a unit was."""
