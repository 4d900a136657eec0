import { moment } from "../../lib/moment.ts";
import { expectStream } from "../../lib/stream.ts";
import { dictionary } from "../../lib/words.ts";
import type { View } from "../../views.ts";

const t = dictionary({ title: "一张图" }, { title: "Map" });

/** MapLibre comes beside the view's code, not behind it, and so does what is live: useLive() listens to it. */
function load(): ReturnType<View["load"]> {
  for (const href of MAPLIBRE_PARTS) document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href }));
  if (moment() === null) expectStream(["state", "position", "alarm", "case"]);
  return import("./map-view.tsx");
}

export const view: View = { key: "map", order: 1, title: () => t("title"), right: "read", past: true, load };
