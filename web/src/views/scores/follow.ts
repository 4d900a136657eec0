// A month's scores are read anew when somebody enters points, corrects, closes or publishes them. What cases do to a score comes with the next reading.
import { useEffect, useRef } from "preact/hooks";
import { isLeft, listen } from "../../lib/stream.ts";

export function useMonth(month: string, again: () => void): void {
  const latest = useRef(again);
  latest.current = again;
  useEffect(() => {
    const anew = () => latest.current();
    return listen({ score: (things) => things.some((thing) => !isLeft(thing) && thing.month === month) && anew() }, anew);
  }, [month]);
}
