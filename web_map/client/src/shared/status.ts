/** A unit's status in five groups: the shape says it, the colour repeats it (told apart with colour blindness too). */
export type StatusGroup = "available" | "committed" | "on_scene" | "unavailable" | "emergency";

export const GROUPS: readonly StatusGroup[] = ["available", "committed", "on_scene", "unavailable", "emergency"];

export const COLOURS: Record<StatusGroup, string> = {
  available: "#56B4E9",
  committed: "#F0E442",
  on_scene: "#00A878",
  unavailable: "#7C8894",
  emergency: "#FF5A36",
};

const GROUP_OF: Record<string, StatusGroup> = {
  available: "available",
  assigned: "committed",
  en_route: "committed",
  on_scene: "on_scene",
  paperwork: "unavailable",
  break: "unavailable",
  out_of_service: "unavailable",
  off_duty: "unavailable",
  emergency: "emergency",
};

export const groupOf = (status: string): StatusGroup => GROUP_OF[status] ?? "unavailable";

/** The outline of each group's shape in a box of 24 by 24, pointing up: arrow, double arrow, square, bar, star. */
export const SHAPES: Record<StatusGroup, string> = {
  available: "M12 2 19 20 12 16 5 20Z",
  committed: "M12 1 19 12 12 9 5 12ZM12 11 19 22 12 19 5 22Z",
  on_scene: "M12 1 16 6H19V20H5V6H8Z",
  unavailable: "M12 3 17 12 12 21 7 12Z",
  emergency: "M12 1 15 8 23 9 17 14 19 22 12 18 5 22 7 14 1 9 9 8Z",
};
