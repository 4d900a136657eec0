// The county at any minute: one bar for tiles, lists, panel, charts. The address holds the moment, so that it can be sent to somebody. Without one it is
// now, and alive.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { dateTimeSeconds, fromLocalInput, hubNow, localInput } from "../../lib/format.ts";
import { setParameters } from "../../lib/router.ts";
import type { Canvas } from "./canvas.ts";
import type { MapQuery } from "./query.ts";
import { t } from "./words.ts";

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
const SPEEDS = [1, 10, 60, 600];
/** The next picture at the earliest; and when the tiles of this one are there. */
const STEP_MS = 1000;

/** The past goes as far as now; there it is now. */
function goTo(ms: number, replace: boolean): void {
  if (Number.isNaN(ms)) return;
  setParameters({ time: ms >= hubNow() ? null : new Date(ms).toISOString() }, replace);
}

/** Moves on by itself, `speed` times as fast as time does, but no faster than pictures come. */
function usePlay(canvas: Canvas | null, moment: string | null, speed: number, playing: boolean): void {
  const latest = useRef(moment);
  latest.current = moment;
  useEffect(() => {
    if (!playing) return undefined;
    let before = performance.now();
    const timer = setInterval(() => {
      if (latest.current === null || (canvas !== null && !canvas.map.areTilesLoaded())) return;
      const passed = performance.now() - before;
      before += passed;
      goTo(Date.parse(latest.current) + passed * speed, true);
    }, STEP_MS);
    return () => clearInterval(timer);
  }, [canvas, speed, playing]);
}

export function TimeBar({ query, canvas }: { query: MapQuery; canvas: Canvas | null }): JSX.Element {
  const { moment } = query;
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(60);
  useEffect(() => {
    if (moment === null) setPlaying(false);
  }, [moment]);
  usePlay(canvas, moment, speed, playing && moment !== null);
  if (moment === null) {
    return (
      <div class="map-time">
        <button type="button" data-testid="time-open" onClick={() => goTo(hubNow() - 60 * MINUTE_MS, false)}>
          {t("lookBack")}
        </button>
      </div>
    );
  }
  const at = Date.parse(moment);
  const local = localInput(at);
  const day = fromLocalInput(`${local.slice(0, 10)}T00:00`);
  const by = (minutes: number, words: string) => (
    <button type="button" onClick={() => goTo(at + minutes * MINUTE_MS, true)}>
      {words}
    </button>
  );
  return (
    <div class="map-time card" role="group" aria-label={t("timeBar")}>
      <div class="row">
        <strong class="warn" role="status" data-testid="time-shown">
          {t("asOf", dateTimeSeconds(at))}
        </strong>
        <button type="button" class="primary" data-testid="time-now" onClick={() => setParameters({ time: null })}>
          {t("backToNow")}
        </button>
      </div>
      <div class="row">
        <input type="datetime-local" aria-label={t("when")} value={local} max={localInput(hubNow())} onChange={(event) => goTo(fromLocalInput(event.currentTarget.value), false)} />
        {by(-60, t("hoursBy", "−1"))}
        {by(-1, t("minutesBy", "−1"))}
        <button type="button" data-testid="time-play" aria-pressed={playing} onClick={() => setPlaying(!playing)}>
          {playing ? `⏸ ${t("pause")}` : `▶ ${t("play")}`}
        </button>
        {by(1, t("minutesBy", "+1"))}
        {by(60, t("hoursBy", "+1"))}
        <select aria-label={t("speed")} value={String(speed)} onChange={(event) => setSpeed(Number(event.currentTarget.value))}>
          {SPEEDS.map((times) => (
            <option key={times} value={times}>
              {t("times", times)}
            </option>
          ))}
        </select>
      </div>
      <input
        type="range"
        min={0}
        max={DAY_MINUTES - 1}
        value={Math.floor((at - day) / MINUTE_MS)}
        aria-label={t("minuteOfDay")}
        aria-valuetext={dateTimeSeconds(at)}
        onChange={(event) => goTo(day + Number(event.currentTarget.value) * MINUTE_MS, true)}
      />
    </div>
  );
}
