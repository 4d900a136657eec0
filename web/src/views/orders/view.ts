import type { View } from "../../views.ts";
import { t } from "./words.ts";

export const view: View = { key: "orders", order: 2.5, title: () => t("title"), right: "read", load: () => import("./orders.tsx") };
