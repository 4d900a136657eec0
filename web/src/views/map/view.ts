import type { View } from "../../views.ts";
import { dictionary } from "../../lib/words.ts";

const t = dictionary({ title: "一张图" }, { title: "Map" });

export const view: View = { key: "map", order: 1, title: () => t("title"), right: "read", past: true, load: () => import("./map-view.tsx") };
