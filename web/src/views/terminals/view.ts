import type { View } from "../../views.ts";
import { dictionary } from "../../lib/words.ts";

const t = dictionary({ title: "终端" }, { title: "Terminals" });

export const view: View = { key: "terminals", order: 5.5, title: () => t("title"), right: "command", load: () => import("./terminals.tsx") };
