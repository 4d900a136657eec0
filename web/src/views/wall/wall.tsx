// The wall: scenes of tiles that follow each other by the clock; a serious alarm brings its scene up at once. It runs for weeks without anybody: every
// figure says how old it is, and nothing is drawn while nothing changes but the clock.
import type { ComponentType, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ago, clock, dateTimeSeconds, now } from "../../lib/format.ts";
import { go, link, route, setParameters } from "../../lib/router.ts";
import { isLeft, liveness, useStream } from "../../lib/stream.ts";
import { theme } from "../../lib/theme.ts";
import { CALLS, SCENES, type Scene } from "./catalogue.ts";
import { FRESH_MS } from "./sources.ts";
import { named, WallTile } from "./tiles.tsx";
import { t } from "./words.ts";
import "./wall.css";

/** Wider than this (width by height) there is room for two scenes. */
const TWO = 2.6;

function useShape(): { two: boolean } {
  const shape = () => ({ two: innerWidth / innerHeight > TWO });
  const [found, setFound] = useState(shape);
  useEffect(() => {
    const root = document.documentElement;
    const fit = () => {
      // As large as the wall is high: a wall is looked at from afar.
      root.style.fontSize = `${Math.max(14, Math.min(40, innerHeight / 54))}px`;
      setFound(shape());
    };
    fit();
    addEventListener("resize", fit);
    return () => {
      removeEventListener("resize", fit);
      root.style.fontSize = "";
    };
  }, []);
  // Dark unless its address says otherwise: a wall lights a room.
  const wanted = route.value.parameters["theme"] === "light" ? "light" : "dark";
  useLayoutEffect(() => {
    document.documentElement.dataset["theme"] = wanted;
    return () => {
      document.documentElement.dataset["theme"] = theme.value;
    };
  }, [wanted, theme.value]);
  return found;
}

const Clock = (): JSX.Element => <time>{dateTimeSeconds(now.value)}</time>;

const Shown = ({ scene }: { scene: Scene }): JSX.Element => (
  <div class={`wall-scene wall-scene-${scene.key}`}>
    {scene.tiles.map((tile) => (
      <WallTile key={tile} tile={tile} />
    ))}
  </div>
);

type CountyMap = ComponentType<{ onNone: () => void }>;

/** Between the scenes. Its points are the stream's: while that is away they are as old as its last word. */
function MapTile({ Map, onNone }: { Map: CountyMap; onNone: () => void }): JSX.Element {
  const heard = useRef(now.value);
  if (liveness.value !== "late") heard.current = now.value;
  const old = now.value - heard.current > FRESH_MS;
  return (
    <section class={`wall-tile tile-map ${old ? "old" : ""}`} aria-label={t("map")}>
      <h2>
        {t("map")}
        <span class={old ? "wall-old" : "wall-age"}>{old ? t("old", clock(heard.current), ago(heard.current)) : t("asOf", clock(heard.current))}</span>
      </h2>
      <div class="wall-content">
        <Map onNone={onNone} />
      </div>
    </section>
  );
}

/** Where there is room for it. Without WebGL 2, or when its files do not come, the wall is the scenes alone. */
function useMap(room: boolean): [CountyMap | null, () => void] {
  const [state, setState] = useState<{ Map: CountyMap | null; none: boolean }>({ Map: null, none: false });
  const none = () => setState({ Map: null, none: true });
  const wanted = room && state.Map === null && !state.none;
  useEffect(() => {
    if (wanted) import("../map/county-map.tsx").then((module) => setState({ Map: module.default, none: false }), none);
  }, [wanted]);
  return [room ? state.Map : null, none];
}

export default function Wall(): JSX.Element {
  const { two } = useShape();
  const [Map, noMap] = useMap(two);
  const turning = two ? SCENES.slice(1) : SCENES;
  const pinned = turning.findIndex((scene) => scene.key === route.value.parameters["scene"]);
  const [place, setPlace] = useState(0);
  const [stands, setStands] = useState(false);
  const shown = turning[pinned >= 0 ? pinned : place % turning.length]!;
  const turn = (by: number) => {
    setParameters({ scene: null }, true);
    setPlace(((pinned >= 0 ? pinned : place) + by + turning.length) % turning.length);
  };
  useEffect(() => {
    if (stands || pinned >= 0 || turning.length < 2) return undefined;
    const timer = setTimeout(() => setPlace((now) => (now + 1) % turning.length), shown.seconds * 1000);
    return () => clearTimeout(timer);
  }, [place, stands, pinned, turning.length]);
  useStream(
    {
      alarm: (things) => {
        const called = turning.findIndex((scene) => scene.key === CALLS.scene);
        if (called >= 0 && things.some((thing) => !isLeft(thing) && thing.severity === CALLS.severity && thing.closed_at === null && thing.acknowledged_at === null)) setPlace(called);
      },
    },
    () => undefined,
  );
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key === "ArrowRight") turn(1);
      else if (event.key === "ArrowLeft") turn(-1);
      else if (event.key === " ") setStands((now) => !now);
      else if (event.key === "Escape") go("");
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  });
  return (
    <div class={`wall ${two ? "two" : ""} ${Map ? "with-map" : ""} ${liveness.value === "late" ? "wall-late" : ""}`}>
      <header class="wall-head">
        <h1>{t("title")}</h1>
        <nav aria-label={t("keys")} title={t("keys")}>
          {turning.map((scene) => (
            <a key={scene.key} href={link("wall", { ...route.value.parameters, scene: scene.key })} aria-current={scene === shown ? "true" : undefined}>
              {named(scene.title)}
            </a>
          ))}
          {stands && <span class="warn">{t("paused")}</span>}
        </nav>
        <span class={`liveness ${liveness.value}`} role="status">
          {t(liveness.value)}
        </span>
        <Clock />
        <a class="wall-leave" href={link("")} aria-label={t("leave")} title={t("leave")}>
          ✕
        </a>
      </header>
      <div class="wall-scenes">
        {two && <Shown scene={SCENES[0]!} />}
        {Map && <MapTile Map={Map} onNone={noMap} />}
        <Shown key={shown.key} scene={shown} />
      </div>
    </div>
  );
}
