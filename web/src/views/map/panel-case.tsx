// A case as the map shows it: where it stands, whose it is, its time, what was done. Acting on it is the case desk's.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { coded, whoName } from "../../lib/codes.ts";
import { ago, dateTime } from "../../lib/format.ts";
import { linkMoment } from "../../lib/moment.ts";
import { link, route } from "../../lib/router.ts";
import { isLeft, useStream } from "../../lib/stream.ts";
import type { CaseWhole } from "../../lib/types.ts";
import { Facts } from "../../part/facts.tsx";
import { Photos } from "../../part/photos.tsx";
import { Failed } from "../../part/states.tsx";
import { views } from "../../views.ts";
import { Place, Waiting, type PanelProperties } from "./panel.tsx";
import { Symbol } from "./symbol.tsx";
import { t } from "./words.ts";

interface CaseDetail extends CaseWhole {
  journal: { seq: number; at: string; action: string; action_zh: string; actor: string; role: string; department: string | null; reason: string | null }[];
}

type Entry = CaseDetail["journal"][number];
const actionOf = (entry: Entry | undefined): string => (entry === undefined ? "" : coded(entry.action, entry.action_zh));

export function CasePanel({ query, id, onPlace, onGo }: PanelProperties): JSX.Element {
  const asked = useAsk<CaseDetail>(`cases/${encodeURIComponent(id)}`, { at: query.moment ?? "" });
  const one = asked.data;
  const past = query.moment !== null;
  useStream({ case: (things) => things.some((thing) => isLeft(thing) || thing.code === id) && asked.reload() }, (begins) => begins || asked.reload(), !past);
  useEffect(() => onPlace(one?.lon ?? null, one?.lat ?? null), [one?.lon, one?.lat]);
  if (one === undefined) return <Waiting asked={asked} />;
  const deadline = one.deadline_at ?? one.stage_deadline_at ?? null;
  return (
    <>
      <h2>{one.title}</h2>
      <p class="row">
        <span>
          <Symbol name="case" /> {coded(one.state, one.state_zh)}
        </span>
        {one.left_at && <strong class="warn">{t("leftAt", dateTime(one.left_at))}</strong>}
        {one.overdue && <strong class="bad">{t("overdue")}</strong>}
        <Place lon={one.lon} lat={one.lat} onGo={onGo} />
        {views.some((view) => view.key === "desk") && <a href={link(`desk/${one.case}`, linkMoment())}>{t("openCase")}</a>}
      </p>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {one.description !== null && <p>{one.description}</p>}
      <Facts
        rows={[
          [t("case"), one.case],
          [t("what"), one.category_zh ?? "–"],
          [t("department"), one.department_zh ?? "–"],
          [t("since"), `${dateTime(one.reported_at)} (${ago(one.reported_at)})`],
          [t("deadline"), deadline === null ? "–" : `${dateTime(deadline)} (${ago(deadline)})`],
          [t("address"), one.address || "–"],
          [t("gridCell"), one.grid_cell ?? "–"],
          [t("device"), one.device === null ? "–" : <a href={link(`map/device/${one.device.id}`, route.value.parameters)}>{one.device.code}</a>],
        ]}
      />
      <Photos files={one.attachments} tell={(file) => actionOf(one.journal.find((entry) => entry.seq === file.seq))} />
      <ol class="journal">
        {one.journal.map((entry) => (
          <li key={entry.seq}>
            <time>{dateTime(entry.at)}</time> {actionOf(entry)} <span class="quiet">{[whoName(entry.actor), entry.reason].filter(Boolean).join(" · ")}</span>
          </li>
        ))}
      </ol>
    </>
  );
}
