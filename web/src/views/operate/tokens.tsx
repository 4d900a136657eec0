// Tokens of programs: made (shown once), listed with their last use, ended.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { post, useAsk } from "../../lib/api.ts";
import { departmentName } from "../../lib/county.ts";
import { ago, dateTime } from "../../lib/format.ts";
import { route, setParameters } from "../../lib/router.ts";
import { listed, wordOf } from "../../lib/words.ts";
import { Empty, Failed, Loading } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import { Ask, DepartmentField, Secret, Ticks, type Shown } from "./manage.tsx";
import { RIGHTS, TOKEN_RIGHTS, t } from "./manage-words.ts";

interface Token {
  name: string;
  rights: string[];
  owner: string | null;
  department: string | null;
  expires_at: string;
  last_used_at: string | null;
  last_address: string | null;
  revoked_at: string | null;
}

function TokenForm({ onClose, onDone }: { onClose: () => void; onDone: (shown: Shown) => void }): JSX.Element {
  const [name, setName] = useState("");
  const [rights, setRights] = useState(["read"]);
  const [days, setDays] = useState("365");
  const [owner, setOwner] = useState("");
  const [department, setDepartment] = useState("");
  const people = useAsk<{ users: { login: string; name: string }[] }>("users");
  const missing = () => {
    const lacks = [...(name.trim() === "" ? [t("tokenName")] : []), ...(rights.length === 0 ? [t("rights")] : []), ...(Number(days) >= 1 ? [] : [t("days")])];
    return lacks.length === 0 ? "" : t("missing", listed(lacks));
  };
  const send = async () => {
    const made = await post<{ name: string; token: string }>("tokens", { name: name.trim(), rights, days: Number(days), ...(owner !== "" ? { owner } : department !== "" && { department }) });
    onDone({ words: t("secretToken", made.name), secret: made.token });
  };
  return (
    <Ask title={t("addToken")} does={t("save")} missing={missing} send={send} onClose={onClose}>
      <label>
        <span>{t("tokenName")}</span>
        <input name="token_name" autocomplete="off" autocapitalize="none" maxLength={63} placeholder={t("loginHint")} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <Ticks title={t("rights")} names={RIGHTS.filter((right) => right !== "score").map((right): [string, string] => [right, t(right)])} chosen={rights} onChosen={setRights} />
      <label>
        <span>{t("days")}</span>
        <input name="days" type="number" min={1} max={3660} value={days} onInput={(event) => setDays(event.currentTarget.value)} />
      </label>
      <label>
        <span>
          {t("owner")} <span class="quiet">{t("ownerHint")}</span>
        </span>
        <select name="owner" value={owner} onChange={(event) => setOwner(event.currentTarget.value)}>
          <option value="">–</option>
          {people.data?.users.map((one) => (
            <option key={one.login} value={one.login}>
              {one.name} ({one.login})
            </option>
          ))}
        </select>
      </label>
      {owner === "" && <DepartmentField value={department} onValue={setDepartment} />}
    </Ask>
  );
}

export function Tokens(): JSX.Element {
  const all = route.value.parameters["all"] === "true";
  const asked = useAsk<{ tokens: Token[] }>("tokens", { all });
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState<string | null>(null);
  const [shown, setShown] = useState<Shown | null>(null);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const revoke = async () => {
    await post(`tokens/${encodeURIComponent(ending ?? "")}/revoke`);
    setEnding(null);
    asked.reload();
  };
  return (
    <>
      <p class="row">
        <button type="button" class="primary" onClick={() => setAdding(true)}>
          + {t("addToken")}
        </button>
        <label class="operate-tick">
          <input type="checkbox" checked={all} onChange={(event) => setParameters({ all: event.currentTarget.checked ? "true" : null })} /> {t("all")}
        </label>
      </p>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      {asked.data.tokens.length === 0 ? (
        <Empty>{t("noToken")}</Empty>
      ) : (
        <Table
          label={t("tokens")}
          rows={asked.data.tokens}
          rowKey={(one) => one.name}
          columns={[
            { key: "name", title: t("tokenName"), cell: (one) => <code>{one.name}</code> },
            { key: "rights", title: t("rights"), cell: (one) => listed(one.rights.map((right) => wordOf(t, TOKEN_RIGHTS, right))) },
            { key: "owner", title: t("owner"), cell: (one) => one.owner ?? (one.department === null ? "–" : departmentName(one.department)), wide: true },
            { key: "expires", title: t("expires"), cell: (one) => dateTime(one.expires_at), wide: true },
            { key: "used", title: t("lastUsed"), cell: (one) => (one.last_used_at === null ? t("neverUsed") : ago(one.last_used_at)) },
            { key: "from", title: t("from"), cell: (one) => one.last_address ?? "–", wide: true },
            {
              key: "do",
              title: "",
              cell: (one) =>
                one.revoked_at === null ? (
                  <button type="button" onClick={() => setEnding(one.name)}>
                    {t("revoke")}
                  </button>
                ) : (
                  <span class="quiet">○ {t("revoked")}</span>
                ),
            },
          ]}
        />
      )}
      {adding && (
        <TokenForm
          onClose={() => setAdding(false)}
          onDone={(secret) => {
            setAdding(false);
            setShown(secret);
            asked.reload();
          }}
        />
      )}
      {ending !== null && (
        <Ask title={t("revoke")} does={t("revoke")} danger send={revoke} onClose={() => setEnding(null)}>
          <p>{t("revokeToken", ending)}</p>
        </Ask>
      )}
      {shown && <Secret shown={shown} onClose={() => setShown(null)} />}
    </>
  );
}
