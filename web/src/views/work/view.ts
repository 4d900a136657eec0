import type { View } from "../../views.ts";
import { dictionary } from "../../lib/words.ts";

const t = dictionary({ title: "人员作业" }, { title: "People, work" });

export const view: View = { key: "work", order: 4, title: () => t("title"), right: "read", past: true, load: () => import("./work.tsx") };
