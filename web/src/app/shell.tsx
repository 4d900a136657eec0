// The frame: who is logged in, where one can go, whether what is seen is live; and the view of the address.
import type { ComponentType, JSX } from "preact";
import { Component } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { asProblem, type Problem } from "../lib/api.ts";
import { loadCounty } from "../lib/county.ts";
import { dateTimeSeconds, now } from "../lib/format.ts";
import { linkMoment } from "../lib/moment.ts";
import { link, route, settle } from "../lib/router.ts";
import { logOut, may, me, presence } from "../lib/session.ts";
import { liveness } from "../lib/stream.ts";
import { language } from "../lib/words.ts";
import { Failed, Loading } from "../part/states.tsx";
import { views, type View } from "../views.ts";
import { LoginAgain, LoginPage } from "./login.tsx";
import { ChangePassword } from "./password.tsx";
import { LanguageSwitch, ThemeSwitch } from "./switches.tsx";
import { t } from "./words.ts";

/** Apart from the header, so that a second that passes draws the clock alone. */
const Clock = (): JSX.Element => <time class="clock">{dateTimeSeconds(now.value)}</time>;

const Liveness = (): JSX.Element => (
  <span class={`liveness ${liveness.value}`} role="status">
    {t(liveness.value)}
  </span>
);

function Person(): JSX.Element {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [changing, setChanging] = useState(false);
  const leave = () => logOut().catch((error: unknown) => setProblem(asProblem(error)));
  return (
    <details class="menu">
      <summary>{me.value?.name}</summary>
      <div class="menu-box">
        <p class="quiet">{me.value?.login}</p>
        <ThemeSwitch />
        <LanguageSwitch />
        <button type="button" class="plain" onClick={() => setChanging(true)}>
          {t("changePassword")}
        </button>
        <button type="button" class="plain" onClick={() => void leave()}>
          {t("logout")}
        </button>
        {problem && <Failed problem={problem} />}
      </div>
      {changing && <ChangePassword onClose={() => setChanging(false)} />}
    </details>
  );
}

function Header({ shown }: { shown: View | undefined }): JSX.Element {
  const bar = useRef<HTMLElement>(null);
  // Where the bar is wider than the screen, it shows where one is. Not by scrollIntoView(), behind which Tab would go on.
  useEffect(() => {
    const here = bar.current?.querySelector<HTMLElement>("[aria-current]");
    if (bar.current && here) bar.current.scrollLeft += here.getBoundingClientRect().x - bar.current.getBoundingClientRect().x - (bar.current.clientWidth - here.offsetWidth) / 2;
  }, [shown, language.value]);
  return (
    <header class="header">
      <a class="skip" href="#content" onClick={skip}>
        {t("skip")}
      </a>
      <strong class="product">{t("product")}</strong>
      <nav ref={bar} aria-label={t("views")}>
        {views
          .filter((view) => may(view.right) && view.linked !== true)
          .map((view) => (
            <a key={view.key} href={link(view.key, view.past === true ? linkMoment() : {})} aria-current={view === shown ? "page" : undefined}>
              {view.title()}
            </a>
          ))}
      </nav>
      <Liveness />
      <Clock />
      <Person />
    </header>
  );
}

/** The address after # is the view's: the focus goes to the content without changing it. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

/** A view that fails to draw takes neither the frame nor the others with it, nor what it shows at another address. */
class Guard extends Component<{ place: string; children: JSX.Element }, { error: unknown; place: string }> {
  override state = { error: undefined as unknown, place: this.props.place };
  static override getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }
  static override getDerivedStateFromProps({ place }: { place: string }, state: { place: string }): { error: unknown; place: string } | null {
    return place === state.place ? null : { error: undefined, place };
  }
  override componentDidCatch(error: unknown): void {
    console.error(error);
  }
  override render(): JSX.Element {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div class="failed" role="alert">
        <strong>{t("broken")}</strong>
        <button type="button" onClick={() => location.reload()}>
          {t("reload")}
        </button>
      </div>
    );
  }
}

const loaded = new Map<View, ComponentType>();

function Shown({ view }: { view: View }): JSX.Element {
  const [, setTurn] = useState(0);
  const [problem, setProblem] = useState<Problem | null>(null);
  const Content = loaded.get(view);
  const load = () => {
    setProblem(null);
    view.load().then(
      (module) => {
        loaded.set(view, module.default);
        setTurn((turn) => turn + 1);
      },
      (error: unknown) => setProblem(asProblem(error)),
    );
  };
  useEffect(() => {
    if (!loaded.has(view)) load();
  }, [view]);
  // Its files may be another version's, after the hub was renewed: reading the page anew brings the right ones.
  if (problem) return <Failed problem={problem} retry={() => location.reload()} />;
  return Content ? <Content /> : <Loading />;
}

function County(): JSX.Element {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [ready, setReady] = useState(false);
  const load = () => {
    setProblem(null);
    loadCounty().then(() => setReady(true), (error: unknown) => setProblem(asProblem(error)));
  };
  useEffect(load, []);
  const allowed = views.filter((view) => may(view.right));
  const wanted = route.value.view;
  const view = wanted === "" ? allowed[0] : allowed.find((one) => one.key === wanted);
  const settling = wanted === "" && view !== undefined;
  useEffect(() => {
    if (settling) settle(view.key);
  }, [settling]);
  const missing = allowed.length === 0 ? "noRight" : views.some((one) => one.key === wanted) ? "notYours" : "noView";
  const title = view?.title() ?? t(missing);
  useEffect(() => {
    document.title = `${title} – ${t("product")}`;
  }, [title, language.value]);
  const content = problem ? (
    <Failed problem={problem} retry={load} />
  ) : !ready || settling ? (
    <Loading />
  ) : view ? (
    <Guard key={view.key} place={route.value.path.join("/")}>
      <Shown view={view} />
    </Guard>
  ) : (
    <p class="page quiet">
      {t(missing)} {allowed.length > 0 && <a href={link("")}>{t("start")}</a>}
    </p>
  );
  return (
    <>
      {!view?.bare && <Header shown={view} />}
      <main id="content" tabIndex={-1} class={`content ${view?.bare ? "bare" : ""}`}>
        {content}
      </main>
      {presence.value === "over" && <LoginAgain />}
    </>
  );
}

export function Page(): JSX.Element {
  useEffect(() => {
    document.documentElement.lang = language.value === "en" ? "en" : "zh-CN";
  }, [language.value]);
  switch (presence.value) {
    case "asking":
      return <Loading />;
    case "away":
      return (
        <main class="login">
          <div class="login-box">
            <p>{t("away")}</p>
            <button type="button" onClick={() => location.reload()}>
              {t("reload")}
            </button>
          </div>
        </main>
      );
    case "out":
      return <LoginPage />;
    case "in":
    case "over":
      return <County />;
  }
}
