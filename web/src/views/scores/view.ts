import type { View } from "../../views.ts";
import { dictionary } from "../../lib/words.ts";

const t = dictionary({ title: "考核评分" }, { title: "Scores" });

export const view: View = { key: "scores", order: 3, title: () => t("title"), right: "read", load: () => import("./scores.tsx") };
