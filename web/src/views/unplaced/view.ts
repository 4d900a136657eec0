import type { View } from "../../views.ts";
import { t } from "./words.ts";

export const view: View = { key: "unplaced", order: 9, title: () => t("title"), right: "read", linked: true, load: () => import("./unplaced.tsx") };
