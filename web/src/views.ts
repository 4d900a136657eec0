// The views, in the order of the navigation. A view is a folder of views/ with a view.ts whose export `view` says what it is; its code is
// loaded when it is opened.
import type { ComponentType } from "preact";
import type { Right } from "./lib/session.ts";

export interface View {
  /** Its part of the address: #/<key>. */
  key: string;
  order: number;
  title: () => string;
  /** Who lacks it does not see the view. */
  right: Right;
  /** It shows any moment: the address's goes along to it. */
  past?: boolean;
  /** Without the frame of navigation, such as a wall. */
  bare?: boolean;
  /** Other views lead to it; the navigation does not name it. */
  linked?: boolean;
  load: () => Promise<{ default: ComponentType }>;
}

const found = import.meta.glob<{ view: View }>("./views/*/view.ts", { eager: true });

export const views: View[] = Object.values(found)
  .map((module) => module.view)
  .sort((a, b) => a.order - b.order);
