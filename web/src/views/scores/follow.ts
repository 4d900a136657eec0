// A month's scores are read anew when somebody enters points, corrects, closes or publishes them. What cases do to a score comes with the next reading.
import { isLeft, useStream } from "../../lib/stream.ts";

export function useMonth(month: string, again: () => void): void {
  useStream({ score: (things) => things.some((thing) => !isLeft(thing) && thing.month === month) && again() }, (begins) => begins || again());
}
