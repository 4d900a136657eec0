import type { View } from "../../views.ts";
import { dictionary } from "../../lib/words.ts";

const t = dictionary({ title: "运维" }, { title: "Operations" });

export const view: View = { key: "operate", order: 6, title: () => t("title"), right: "operate", load: () => import("./operate.tsx") };
