// The case desk: the queue beside the case that is open, by keys alone if its user likes. On a phone one of them is seen at a time.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useAsk } from "../../lib/api.ts";
import { route, setPath } from "../../lib/router.ts";
import { Failed, Loading } from "../../part/states.tsx";
import { TimeBar } from "../../part/time-bar.tsx";
import { CasePane } from "./case.tsx";
import { type CaseWords } from "./desk-types.ts";
import { useKeys } from "./keys.ts";
import { currentQueue, listMoment, QueueList, QueueTabs, useCases } from "./queue.tsx";
import { mayReport, Report } from "./report.tsx";
import { t } from "./words.ts";
import "./desk.css";

const focusSearch = () => document.querySelector<HTMLInputElement>(".desk-list input[type=search]")?.focus();

function Ready({ words }: { words: CaseWords }): JSX.Element {
  const list = useCases();
  const [told, setTold] = useState("");
  const past = listMoment() !== null;
  // Nothing is done in the past.
  const open = (past && route.value.path[0] === "new" ? undefined : route.value.path[0]) ?? null;
  const reporting = open === "new";
  const reports = mayReport(words) && !past;
  const place = list.ordered.findIndex((one) => one.case === open);
  const openAt = (index: number) => {
    const one = list.ordered[index];
    if (one) setPath([one.case]);
  };
  const next = () => openAt(place + 1);
  const previous = () => openAt(place < 0 ? 0 : place - 1);
  const leave = () => setPath([]);
  const begin = () => setPath(["new"]);
  useKeys({ j: next, n: next, k: previous, "/": focusSearch, Escape: open === null ? undefined : leave, c: reports ? begin : undefined });

  // What was done goes out of the queue of those whose work it is: the next one comes by itself.
  const done = (number: string, what: string, state: string) => {
    const stays = currentQueue().key !== "mine" || currentQueue().states.includes(state);
    const following = list.ordered[place + 1] ?? list.ordered.find((one) => one.case !== number);
    setTold(t(!stays && following !== undefined ? "doneNext" : "done", number, what));
    list.reload();
    if (!stays) setPath(following !== undefined && following.case !== number ? [following.case] : []);
  };
  useEffect(() => {
    if (open !== null) document.querySelector(`.desk-list tr[aria-current]`)?.scrollIntoView({ block: "nearest" });
  }, [open]);

  return (
    <div class={`desk ${open === null ? "" : "with-case"}`}>
      <section class="desk-list" aria-label={t("queue")}>
        <div class="desk-head">
          <QueueTabs />
          {reports && (
            <button type="button" onClick={begin}>
              ＋ {t("new")}
            </button>
          )}
        </div>
        {!("statistic" in route.value.parameters) && <TimeBar ready={() => !list.loading} />}
        <QueueList list={list} words={words} open={open} onOpen={(one) => setPath([one.case])} />
        <p class="quiet desk-keys">{t("keys")}</p>
      </section>
      {open !== null && (
        <section class="desk-case" aria-label={reporting ? t("new") : open}>
          <p class="desk-told good" role="status">
            {told}
          </p>
          {reporting ? (
            <Report words={words} onDone={(number) => setPath([number])} onLeave={leave} />
          ) : (
            <CasePane key={open} number={open} words={words} onDone={done} onLeave={leave} onNext={place + 1 < list.ordered.length ? next : undefined} />
          )}
        </section>
      )}
      {open === null && (
        <p class="desk-told good" role="status">
          {told}
        </p>
      )}
    </div>
  );
}

export default function Desk(): JSX.Element {
  const asked = useAsk<CaseWords>("cases/words");
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  return <Ready words={asked.data} />;
}
