import type { View } from "../../views.ts";
import { dictionary } from "../../lib/words.ts";

const t = dictionary({ title: "大屏" }, { title: "Wall" });

export const view: View = { key: "wall", order: 5, title: () => t("title"), right: "read", bare: true, load: () => import("./wall.tsx") };
