// What moves and changes on a map: the stream's words for its layers.
import { useLayoutEffect, useRef } from "preact/hooks";
import { get } from "../../lib/api.ts";
import { subsystems } from "../../lib/county.ts";
import { isLeft, useStream } from "../../lib/stream.ts";
import type { Canvas, PointLayer } from "./canvas.ts";
import type { LastPlace, MoverLayer } from "./movers.ts";
import type { ListKind } from "./query.ts";

/** Kinds whose devices move, as tiles write them: subsystem/kind. */
export const mobileKinds = (): string[] => subsystems.value.flatMap((subsystem) => subsystem.kinds.filter((kind) => kind.mobile).map((kind) => `${subsystem.key}/${kind.key}`));

/** What the stream tells the map; `anew` is called when lists have to be read again. The past stays as it was. It listens before there is a map: what that
 * begins with is then newer than the snapshot. */
export function useLive(canvas: Canvas | null, movers: MoverLayer, past: boolean, anew: (kind: ListKind) => void): void {
  const leaving = useRef<AbortController>();
  const online = useRef(new Map<number, boolean>());
  useLayoutEffect(() => () => leaving.current?.abort(), [past]);
  const touch = (layer: PointLayer) => {
    canvas?.touch(layer);
    anew(layer);
  };
  useStream(
    {
      state: (things) => {
        let flipped = false;
        for (const thing of things) {
          if (isLeft(thing)) {
            movers.remove(thing.id);
            flipped = true;
          } else if (online.current.get(thing.id) !== thing.online) {
            // Of the first word of a device it is not known what the map has: one that is online, and has been, is the rule.
            flipped ||= online.current.has(thing.id) || !thing.online || thing.online_since_ms !== undefined;
            online.current.set(thing.id, thing.online);
          }
        }
        if (flipped) touch("device");
      },
      position: (things) => {
        for (const thing of things) {
          if (!isLeft(thing)) movers.move(thing.id, thing.lon, thing.lat, thing.at_ms);
        }
      },
      alarm: () => touch("alarm"),
      case: () => touch("case"),
    },
    (begins) => {
      if (!begins) {
        for (const layer of ["device", "alarm", "case"] as const) touch(layer);
        canvas?.again();
      }
      leaving.current?.abort();
      leaving.current = new AbortController();
      movers.expect();
      get<{ movers: LastPlace[] }>("map/movers", {}, leaving.current.signal).then(
        (places) => movers.load(places.movers),
        () => undefined, // the stream says that nothing is live; with the next snapshot it is tried again
      );
    },
    !past,
  );
}
