import { render } from "preact";
import "./styles.css";
import "./lib/theme.ts";
import { Page } from "./app/shell.tsx";
import { route } from "./lib/router.ts";
import { views } from "./views.ts";

// The view's code comes while the hub says who asks and what the county has; where it is shown a failure is told.
(views.find((view) => view.key === route.value.view) ?? views[0])?.load().catch(() => undefined);

render(<Page />, document.getElementById("page")!);
