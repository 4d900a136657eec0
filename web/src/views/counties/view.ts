import type { View } from "../../views.ts";
import { t } from "./words.ts";

export const view: View = { key: "counties", order: 8, title: () => t("title"), right: "operate", linked: true, load: () => import("./counties.tsx") };
