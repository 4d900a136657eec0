import { render } from "preact";
import "./styles.css";
import "./lib/theme.ts";
import { Page } from "./app/shell.tsx";

render(<Page />, document.getElementById("page")!);
