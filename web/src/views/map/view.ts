import type { View } from "../../views.ts";
import { dictionary } from "../../lib/words.ts";

const t = dictionary({ title: "一张图" }, { title: "Map" });

/** MapLibre comes beside the view's code, not behind it. */
function load(): ReturnType<View["load"]> {
  for (const href of MAPLIBRE_PARTS) document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href }));
  return import("./map-view.tsx");
}

export const view: View = { key: "map", order: 1, title: () => t("title"), right: "read", past: true, load };
