// What the county is made of and hardly changes: subsystems with their kinds, departments. Read once after the login.
import { signal } from "@preact/signals";
import { get } from "./api.ts";
import type { Box, Department, Features, Subsystem } from "./types.ts";
import { language } from "./words.ts";

export const subsystems = signal<Subsystem[]>([]);
export const departments = signal<Department[]>([]);
/** Around all grid cells; null = there are none. */
export const countyFrame = signal<Box | null>(null);

/** The order in which the county's plan names them. */
const ORDER = "sanitation streetlight dust municipal landscaping construction_waste gas heating water incineration enforcement".split(" ");
const ENGLISH: Record<string, string> = {
  sanitation: "Sanitation",
  streetlight: "Street lights",
  dust: "Dust",
  municipal: "Municipal works",
  landscaping: "Landscaping",
  construction_waste: "Construction waste",
  gas: "Gas",
  heating: "Heating",
  water: "Water supply",
  incineration: "Waste to energy",
  enforcement: "Enforcement",
};

const placeOf = (key: string): number => (ORDER.includes(key) ? ORDER.indexOf(key) : ORDER.length);

async function read(): Promise<void> {
  const [things, offices] = await Promise.all([
    get<{ subsystems: Subsystem[] }>("subsystems"),
    get<Features<Department, null> & { frame: Box | null }>("departments"),
  ]);
  subsystems.value = things.subsystems.sort((a, b) => placeOf(a.key) - placeOf(b.key));
  departments.value = offices.features.map((feature) => feature.properties);
  countyFrame.value = offices.frame;
}

let early: Promise<void> | null = null;

/** While it is being asked who asks: loadCounty() takes what comes. */
export function expectCounty(): void {
  early = read();
  early.catch(() => (early = null));
}

/** Throws Problem. */
export function loadCounty(): Promise<void> {
  const asked = early ?? read();
  early = null;
  return asked;
}

/** The subsystem's name; its key while it is not known. */
export function subsystemName(key: string | null): string {
  if (key === null) return "–";
  const known = subsystems.value.find((subsystem) => subsystem.key === key);
  return language.value === "en" ? (ENGLISH[key] ?? key) : (known?.name_zh ?? key);
}

/** Of a device that no inventory has named the kind is not known. */
export function kindName(subsystem: string, kind: string | null): string {
  if (kind === null) return "–";
  return subsystems.value.find((one) => one.key === subsystem)?.kinds.find((one) => one.key === kind)?.name_zh ?? kind;
}

export function departmentName(code: string | null): string {
  if (code === null) return "–";
  return departments.value.find((department) => department.code === code)?.name_zh ?? code;
}
