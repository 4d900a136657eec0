// What is open: a device, an alarm, a case. Values follow the stream. Escape closes, wherever in the view the focus is.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { setPath } from "../../lib/router.ts";
import { Failed, Loading } from "../../part/states.tsx";
import type { Asked } from "../../lib/api.ts";
import { AlarmPanel } from "./panel-alarm.tsx";
import { CasePanel } from "./panel-case.tsx";
import { DevicePanel } from "./panel-device.tsx";
import type { MapQuery } from "./query.ts";
import { t } from "./words.ts";

export interface PanelProperties {
  query: MapQuery;
  id: string;
  /** Where it is, as far as it is anywhere: the map marks it. */
  onPlace: (lon: number | null, lat: number | null) => void;
  onGo: (lon: number, lat: number) => void;
}

const KINDS = { device: DevicePanel, alarm: AlarmPanel, case: CasePanel };

export function Panel({ query, onPlace, onGo }: Omit<PanelProperties, "id">): JSX.Element {
  const open = query.open!;
  const Content = KINDS[open.kind];
  const panel = useRef<HTMLElement>(null);
  useEffect(() => () => onPlace(null, null), []);
  useEffect(() => {
    // Whoever opened it with the keyboard goes on in it.
    panel.current?.focus({ preventScroll: true });
  }, []);
  return (
    <aside ref={panel} class="map-panel" tabIndex={-1} aria-label={t(open.kind)}>
      <button type="button" class="plain map-panel-close" aria-label={t("close")} onClick={() => setPath([])}>
        ✕
      </button>
      <Content query={query} id={open.id} onPlace={onPlace} onGo={onGo} />
    </aside>
  );
}

export const Place = ({ lon, lat, onGo }: { lon: number | null; lat: number | null; onGo: (lon: number, lat: number) => void }): JSX.Element =>
  lon === null || lat === null ? (
    <span class="quiet">{t("noPlace")}</span>
  ) : (
    <button type="button" onClick={() => onGo(lon, lat)}>
      {t("goThere")}
    </button>
  );

export function Waiting({ asked }: { asked: Asked<unknown> }): JSX.Element {
  return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
}
