import type { View } from "../../views.ts";
import { dictionary } from "../../lib/words.ts";

const t = dictionary({ title: "案件" }, { title: "Cases" });

export const view: View = { key: "desk", order: 2, title: () => t("title"), right: "read", past: true, load: () => import("./desk.tsx") };
