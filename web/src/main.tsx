import { render } from "preact";
import "./styles.css";
import "./lib/theme.ts";
import { Page } from "./app/shell.tsx";
import { expectCounty } from "./lib/county.ts";
import { route } from "./lib/router.ts";
import { hadSession, look } from "./lib/session.ts";
import { views } from "./views.ts";

// Who asks, what the county has and the view's code come at the same time; where they are shown a failure is told.
void look();
if (hadSession()) expectCounty();
(views.find((view) => view.key === route.value.view) ?? views[0])?.load().catch(() => undefined);

render(<Page />, document.getElementById("page")!);
