// The county at any minute: one bar for tiles, lists, panels, charts. The address holds the moment (lib/moment.ts).
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { dateTimeSeconds, fromLocalInput, hubNow, localInput } from "../lib/format.ts";
import { goTo, moment as shownMoment } from "../lib/moment.ts";
import { setParameters } from "../lib/router.ts";
import { showPast } from "../lib/stream.ts";
import { dictionary } from "../lib/words.ts";
import "./time-bar.css";

const t = dictionary(
  {
    lookBack: "回看任意时刻",
    timeBar: "时间轴",
    asOf: "{0} 的情况（以当时已收到的为准）",
    backToNow: "回到现在",
    when: "时刻",
    hoursBy: "{0} 时",
    minutesBy: "{0} 分",
    play: "播放",
    pause: "暂停",
    speed: "播放速度",
    times: "{0} 倍",
    minuteOfDay: "当天的分钟",
  },
  {
    lookBack: "Look back",
    timeBar: "Time bar",
    asOf: "As of {0}, as known then",
    backToNow: "Back to now",
    when: "Moment",
    hoursBy: "{0} h",
    minutesBy: "{0} min",
    play: "Play",
    pause: "Pause",
    speed: "Speed",
    times: "{0}x",
    minuteOfDay: "Minute of the day",
  },
);

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
const SPEEDS = [1, 10, 60, 600];
/** The next picture at the earliest; and when the tiles of this one are there. */
const STEP_MS = 1000;

/** Moves on by itself, `speed` times as fast as time does, but no faster than pictures come. */
function usePlay(ready: () => boolean, moment: string | null, speed: number, playing: boolean): void {
  const latest = useRef({ moment, ready });
  latest.current = { moment, ready };
  useEffect(() => {
    if (!playing) return undefined;
    let before = performance.now();
    const timer = setInterval(() => {
      if (latest.current.moment === null || !latest.current.ready()) return;
      const passed = performance.now() - before;
      before += passed;
      goTo(Date.parse(latest.current.moment) + passed * speed, true);
    }, STEP_MS);
    return () => clearInterval(timer);
  }, [speed, playing]);
}

/** `ready`: whether the picture of this moment is there, so that the next may come. `over`: it lies over a picture, as on the map. */
export function TimeBar({ ready = () => true, over = false }: { ready?: () => boolean; over?: boolean }): JSX.Element {
  const moment = shownMoment();
  const past = moment !== null;
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(60);
  useEffect(() => {
    if (moment === null) setPlaying(false);
  }, [moment]);
  useEffect(() => {
    if (!past) return undefined;
    showPast(true);
    return () => showPast(false);
  }, [past]);
  usePlay(ready, moment, speed, playing && moment !== null);
  if (moment === null) {
    return (
      <div class={`time-bar ${over ? "over" : ""}`}>
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
    <div class={`time-bar card ${over ? "over" : ""}`} role="group" aria-label={t("timeBar")}>
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
