// People who may log in: their posts and department, a new password, the end. The hub refuses what may not be, and says why.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { post, useAsk } from "../../lib/api.ts";
import { coded } from "../../lib/codes.ts";
import { departmentName } from "../../lib/county.ts";
import { ago } from "../../lib/format.ts";
import { route, setParameters } from "../../lib/router.ts";
import { me } from "../../lib/session.ts";
import { listed } from "../../lib/words.ts";
import { Failed, Loading } from "../../part/states.tsx";
import { Table } from "../../part/table.tsx";
import { Ask, DepartmentField, Secret, Ticks, type Shown } from "./manage.tsx";
import { t } from "./manage-words.ts";

interface User {
  login: string;
  name: string;
  posts: string[];
  department: string | null;
  sessions: number;
  last_login_at: string | null;
  revoked_at: string | null;
}
interface Answer {
  users: User[];
  posts: { post: string; name_zh: string }[];
}

interface FormProperties {
  /** null = a new one. */
  user: User | null;
  names: [string, string][];
  onClose: () => void;
  onDone: (shown: Shown | null) => void;
}

function UserForm({ user, names, onClose, onDone }: FormProperties): JSX.Element {
  const [login, setLogin] = useState("");
  const [name, setName] = useState(user?.name ?? "");
  const [posts, setPosts] = useState(user?.posts ?? []);
  const [department, setDepartment] = useState(user?.department ?? "");
  const [password, setPassword] = useState("");
  const missing = () => {
    const lacks = [...(user === null && login.trim() === "" ? [t("login")] : []), ...(name.trim() === "" ? [t("name")] : []), ...(posts.length === 0 ? [t("posts")] : [])];
    return lacks.length === 0 ? "" : t("missing", listed(lacks));
  };
  const send = async () => {
    const common = { name: name.trim(), posts, department: department === "" ? null : department };
    if (user !== null) {
      await post(`users/${encodeURIComponent(user.login)}/role`, common);
      onDone(null);
      return;
    }
    const made = await post<{ login: string; password?: string }>("users", { ...common, login: login.trim(), ...(password !== "" && { password }) });
    onDone(made.password === undefined ? null : { words: t("secretPassword", made.login), secret: made.password });
  };
  return (
    <Ask title={user === null ? t("add") : t("changeOf", user.login)} does={t("save")} missing={missing} send={send} onClose={onClose}>
      {user === null && (
        <label>
          <span>{t("login")}</span>
          <input name="new_login" autocomplete="off" autocapitalize="none" maxLength={63} placeholder={t("loginHint")} value={login} onInput={(event) => setLogin(event.currentTarget.value)} />
        </label>
      )}
      <label>
        <span>{t("name")}</span>
        <input name="name" autocomplete="off" maxLength={100} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <Ticks title={t("posts")} names={names} chosen={posts} onChosen={setPosts} />
      <DepartmentField value={department} onValue={setDepartment} />
      {user === null && (
        <label>
          <span>{t("password")}</span>
          <input type="password" name="new_password" autocomplete="new-password" placeholder={t("passwordHint")} value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
        </label>
      )}
    </Ask>
  );
}

type Doing = { what: "form" | "reset" | "revoke"; user: User | null };

export function Users(): JSX.Element {
  const all = route.value.parameters["all"] === "true";
  const asked = useAsk<Answer>("users", { all });
  const [doing, setDoing] = useState<Doing | null>(null);
  const [shown, setShown] = useState<Shown | null>(null);
  if (asked.data === undefined) return asked.problem ? <Failed problem={asked.problem} retry={asked.reload} /> : <Loading />;
  const names = asked.data.posts.map((one): [string, string] => [one.post, coded(one.post, one.name_zh)]);
  const close = () => setDoing(null);
  const done = (secret: Shown | null) => {
    close();
    setShown(secret);
    asked.reload();
  };
  const reset = async (login: string) => {
    const answer = await post<{ password: string }>(`users/${encodeURIComponent(login)}/password`, {});
    done({ words: t("secretPassword", login), secret: answer.password });
  };
  const revoke = async (login: string) => {
    await post(`users/${encodeURIComponent(login)}/revoke`);
    done(null);
  };
  const buttons = (user: User) =>
    user.login === me.value?.login ? (
      <span class="quiet">{t("you")}</span>
    ) : user.revoked_at !== null ? null : (
      <span class="row">
        <button type="button" onClick={() => setDoing({ what: "form", user })}>
          {t("change")}
        </button>
        <button type="button" onClick={() => setDoing({ what: "reset", user })}>
          {t("reset")}
        </button>
        <button type="button" onClick={() => setDoing({ what: "revoke", user })}>
          {t("revoke")}
        </button>
      </span>
    );
  const user = doing?.user ?? null;
  return (
    <>
      <p class="row">
        <button type="button" class="primary" onClick={() => setDoing({ what: "form", user: null })}>
          + {t("add")}
        </button>
        <label class="operate-tick">
          <input type="checkbox" checked={all} onChange={(event) => setParameters({ all: event.currentTarget.checked ? "true" : null })} /> {t("all")}
        </label>
      </p>
      {asked.problem && <Failed problem={asked.problem} retry={asked.reload} />}
      <Table
        label={t("users")}
        rows={asked.data.users}
        rowKey={(one) => one.login}
        columns={[
          { key: "login", title: t("login"), cell: (one) => <code>{one.login}</code> },
          { key: "name", title: t("name"), cell: (one) => one.name },
          { key: "posts", title: t("posts"), cell: (one) => listed(one.posts.map((held) => names.find(([word]) => word === held)?.[1] ?? held)) },
          { key: "department", title: t("department"), cell: (one) => (one.department === null ? "–" : departmentName(one.department)), wide: true },
          { key: "sessions", title: t("sessions"), numeric: true, cell: (one) => one.sessions, wide: true },
          { key: "last", title: t("lastLogin"), cell: (one) => ago(one.last_login_at), wide: true },
          { key: "state", title: t("state"), cell: (one) => (one.revoked_at === null ? <span class="good">● {t("active")}</span> : <span class="quiet">○ {t("revoked")}</span>), wide: true },
          { key: "do", title: "", cell: buttons },
        ]}
      />
      {doing?.what === "form" && <UserForm user={user} names={names} onClose={close} onDone={done} />}
      {doing?.what === "reset" && user && (
        <Ask title={t("reset")} does={t("reset")} send={() => reset(user.login)} onClose={close}>
          <p>{t("resetOf", `${user.name} (${user.login})`)}</p>
        </Ask>
      )}
      {doing?.what === "revoke" && user && (
        <Ask title={t("revoke")} does={t("revoke")} danger send={() => revoke(user.login)} onClose={close}>
          <p>{t("revokeUser", `${user.name} (${user.login})`)}</p>
        </Ask>
      )}
      {shown && <Secret shown={shown} onClose={() => setShown(null)} />}
    </>
  );
}
