// What moves, as points of a WebGL canvas of its own above the map: 10,000 of them cost one draw, and the map below is not drawn for them. Honest
// motion: a symbol goes from the last received place to the newest one in the time that lay between them, and stays there; never further. Who is
// silent fades. Between places further apart in time than GAP_MS nothing is known, so the symbol jumps. When nothing moves, nothing is drawn.
import type { Map as GlMap } from "maplibre-gl";
import { hubNow } from "../../lib/format.ts";

/** `atMs`: null = where it was registered. */
export type LastPlace = [id: number, lon: number, lat: number, atMs: number | null];

interface Motion {
  id: number;
  /** Its place among those that are drawn; -1 = it is not there yet. */
  slot: number;
  fromX: number;
  fromY: number;
  toX: number;
  toY: number;
  /** ms of performance.now() when the motion begins, and how long it lasts. */
  start: number;
  lasts: number;
  /** When it was there, by the hub's clock. */
  atMs: number;
}

export const GAP_MS = 900_000;
const MOTION_MAX_MS = 60_000;
/** Those that fade soon one after the other are drawn at once. */
const FADE_LATE_MS = 1000;
const FLOATS = 8;
const UNIFORMS = ["u_origin", "u_scale", "u_now", "u_size", "u_colour", "u_ring"] as const;
type Uniforms = Record<(typeof UNIFORMS)[number], WebGLUniformLocation | null>;

const VERTEX = `#version 300 es
uniform vec2 u_origin, u_scale;
uniform float u_now, u_size;
in vec4 a_places;
in vec4 a_times;
out float v_alpha;
out vec2 v_heading;
void main() {
  float share = a_times.y <= 0.0 ? 1.0 : clamp((u_now - a_times.x) / a_times.y, 0.0, 1.0);
  vec2 place = mix(a_places.xy, a_places.zw, share);
  vec2 way = a_places.zw - a_places.xy;
  v_heading = length(way) > 1e-8 ? normalize(way) : vec2(0.0);
  v_alpha = u_now > a_times.z ? 0.35 : 1.0;
  gl_Position = a_times.w > 0.5 ? vec4(u_origin + place * u_scale, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = u_size;
}`;

// A disc with a ring around it, and a point where it is heading.
const FRAGMENT = `#version 300 es
precision mediump float;
uniform vec3 u_colour, u_ring;
in float v_alpha;
in vec2 v_heading;
out vec4 colour;
void main() {
  vec2 at = gl_PointCoord * 2.0 - 1.0;
  float along = dot(at, v_heading);
  float across = abs(dot(at, vec2(-v_heading.y, v_heading.x)));
  bool tip = dot(v_heading, v_heading) > 0.0 && along > 0.3 && across < (0.98 - along) * 0.75;
  float distance = length(at);
  if (distance > 0.66 && !tip) discard;
  bool ring = distance > 0.5 && !tip;
  colour = vec4(ring ? u_ring : u_colour, 1.0) * v_alpha;
}`;

const mercatorX = (lon: number): number => (lon + 180) / 360;
const mercatorY = (lat: number): number => (1 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / Math.PI) / 2;
/** CSS pixels of the world's width. */
const worldPixels = (map: GlMap): number => 512 * 2 ** map.getZoom();

function compile(gl: WebGL2RenderingContext, kind: number, source: string): WebGLShader {
  const shader = gl.createShader(kind)!;
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

export class MoverLayer {
  private readonly motions = new Map<number, Motion>();
  private readonly still = matchMedia("(prefers-reduced-motion: reduce)");
  private map: GlMap | undefined;
  private readonly canvas = document.createElement("canvas");
  private gl: WebGL2RenderingContext | null = null;
  /** null = there is none yet, or it was lost. */
  private program: WebGLProgram | null = null;
  /** null = the program is being made, by the graphics card, for which nobody waits before there is something to draw. */
  private uniforms: Uniforms | null = null;
  private data = new Float32Array(0);
  /** All floats are relative to it: 32 bits of the world would be 2 m. */
  private origin: [number, number] = [0, 0];
  private changed = true;
  /** What of the data the graphics card does not have yet: slots from `from` to before `to`. Beside `changed`: then it has nothing. */
  private from = Infinity;
  private to = 0;
  /** Where the map was when they were drawn. */
  private view = "";
  /** performance.now() until when something moves. */
  private moving = 0;
  private frame: number | undefined;
  /** What came while the movers are asked for, of which the answer may not know; null = they are not. */
  private early: Map<number, LastPlace> | null = null;
  private shown: ((id: number) => boolean) | null = null;
  private colour: [number, number, number] = [0, 0, 0];
  private ring: [number, number, number] = [1, 1, 1];
  private fading: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.canvas.className = "map-movers";
    this.canvas.setAttribute("aria-hidden", "true");
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.program = null;
    });
    this.canvas.addEventListener("webglcontextrestored", () => this.touch());
  }

  /** Above this map from now on, and drawn whenever it is. It must neither turn nor tilt. */
  attach(map: GlMap): void {
    this.map = map;
    map.getCanvasContainer().after(this.canvas);
    map.on("render", this.draw);
  }

  /** Before the map is removed. */
  detach(): void {
    this.map?.off("render", this.draw);
    this.map = undefined;
    this.view = "";
    this.canvas.remove();
    clearTimeout(this.fading);
    this.fading = undefined;
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    this.frame = undefined;
  }

  /** A context with a program in the making; null = there is none. */
  private make(): WebGL2RenderingContext | null {
    const gl = (this.gl ??= this.canvas.getContext("webgl2", { antialias: false, depth: false }));
    if (gl === null || gl.isContextLost()) return null;
    if (this.program !== null) return gl;
    const program = (this.program = gl.createProgram()!);
    this.uniforms = null;
    gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, VERTEX));
    gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, FRAGMENT));
    gl.bindAttribLocation(program, 0, "a_places");
    gl.bindAttribLocation(program, 1, "a_times");
    gl.linkProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    for (const place of [0, 1]) {
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, 4, gl.FLOAT, false, FLOATS * 4, place * 16);
    }
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    return gl;
  }

  /** Draws by it from now on; waits until it is made. */
  private use(gl: WebGL2RenderingContext, program: WebGLProgram): Uniforms {
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program) ?? "program");
    gl.useProgram(program);
    return Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)])) as Uniforms;
  }

  show(shown: boolean): void {
    this.canvas.hidden = !shown;
    this.drawSoon();
  }

  /** They are asked for from now on. */
  expect(): void {
    this.early = new Map();
  }

  /** Begins anew with these, where they are now. */
  load(movers: LastPlace[]): void {
    this.motions.clear();
    clearTimeout(this.fading);
    this.fading = undefined;
    const first = movers[0];
    if (first !== undefined) this.origin = [mercatorX(first[1]), mercatorY(first[2])];
    // By index: this is the first view's, when code is not compiled yet, and taking ten thousand rows apart by a pattern takes three times as long.
    for (let row = 0; row < movers.length; row++) {
      const place = movers[row]!;
      const x = mercatorX(place[1]);
      const y = mercatorY(place[2]);
      this.motions.set(place[0], { id: place[0], fromX: x, fromY: y, toX: x, toY: y, start: 0, lasts: 0, atMs: place[3] ?? 0, slot: -1 });
    }
    if (first !== undefined) this.make();
    this.touch();
    const { early } = this;
    this.early = null;
    for (const [id, lon, lat, atMs] of early?.values() ?? []) this.move(id, lon, lat, atMs!);
  }

  /** A new place of one that was loaded; an older one than the last is passed over. */
  move(id: number, lon: number, lat: number, atMs: number): void {
    const motion = this.motions.get(id);
    this.early?.set(id, [id, lon, lat, atMs]);
    if (motion === undefined || atMs <= motion.atMs) return;
    const now = performance.now();
    const between = atMs - motion.atMs;
    [motion.fromX, motion.fromY] = this.placeOf(motion, now);
    [motion.toX, motion.toY] = [mercatorX(lon), mercatorY(lat)];
    motion.start = now;
    motion.lasts = between > GAP_MS || this.still.matches ? 0 : Math.min(between, MOTION_MAX_MS);
    motion.atMs = atMs;
    this.moving = Math.max(this.moving, now + motion.lasts);
    if (!this.changed && motion.slot >= 0) {
      this.write(motion, hubNow() - now);
      this.from = Math.min(this.from, motion.slot);
      this.to = Math.max(this.to, motion.slot + 1);
    }
    this.drawSoon();
  }

  remove(id: number): void {
    if (this.motions.delete(id)) this.touch();
  }

  /** null = all of them. */
  filter(shown: ((id: number) => boolean) | null): void {
    if (shown === this.shown) return;
    this.shown = shown;
    this.touch();
  }

  colours(colour: [number, number, number], ring: [number, number, number]): void {
    this.colour = colour;
    this.ring = ring;
    this.drawSoon();
  }

  /** The nearest one that is shown within so many pixels of a point of the map's canvas. */
  pick(x: number, y: number, pixels: number): number | null {
    const map = this.map;
    if (map === undefined) return null;
    const now = performance.now();
    const at = map.unproject([x, y]);
    const [atX, atY] = [mercatorX(at.lng), mercatorY(at.lat)];
    let best: number | null = null;
    let nearest = pixels / worldPixels(map);
    for (const motion of this.motions.values()) {
      if (this.shown?.(motion.id) === false) continue;
      const [placeX, placeY] = this.placeOf(motion, now);
      const distance = Math.hypot(placeX - atX, placeY - atY);
      if (distance < nearest) [best, nearest] = [motion.id, distance];
    }
    return best;
  }

  private placeOf(motion: Motion, now: number): [number, number] {
    const share = motion.lasts <= 0 ? 1 : Math.min(1, Math.max(0, (now - motion.start) / motion.lasts));
    return [motion.fromX + (motion.toX - motion.fromX) * share, motion.fromY + (motion.toY - motion.fromY) * share];
  }

  private touch(): void {
    this.changed = true;
    this.drawSoon();
  }

  private drawSoon(): void {
    if (this.map !== undefined) this.frame ??= requestAnimationFrame(this.draw);
  }

  /** `ahead`: what the hub's clock is before performance.now(). */
  private write(motion: Motion, ahead: number): void {
    const { data, epoch } = this;
    let at = motion.slot * FLOATS;
    data[at++] = motion.fromX - this.origin[0];
    data[at++] = motion.fromY - this.origin[1];
    data[at++] = motion.toX - this.origin[0];
    data[at++] = motion.toY - this.origin[1];
    data[at++] = (motion.start - epoch) / 1000;
    data[at++] = motion.lasts / 1000;
    data[at++] = (motion.atMs + GAP_MS - ahead - epoch) / 1000;
    data[at] = this.shown?.(motion.id) === false ? 0 : 1;
  }

  /** All of them after a change of who is there or shown; else those that have moved. */
  private upload(gl: WebGL2RenderingContext): void {
    if (this.changed) {
      if (this.data.length < this.motions.size * FLOATS) this.data = new Float32Array(this.motions.size * FLOATS * 2);
      const ahead = hubNow() - performance.now();
      let slot = 0;
      for (const motion of this.motions.values()) {
        motion.slot = slot++;
        this.write(motion, ahead);
      }
      gl.bufferData(gl.ARRAY_BUFFER, this.data.subarray(0, slot * FLOATS), gl.DYNAMIC_DRAW);
    } else {
      gl.bufferSubData(gl.ARRAY_BUFFER, this.from * FLOATS * 4, this.data, this.from * FLOATS, (this.to - this.from) * FLOATS);
    }
    this.changed = false;
    [this.from, this.to] = [Infinity, 0];
  }

  /** Nothing is drawn while nothing moves, but for the moment at which one begins to fade. */
  private fadeLater(now: number): void {
    if (this.fading !== undefined) return;
    const ahead = hubNow() - now;
    let next = Infinity;
    for (const { atMs } of this.motions.values()) {
      const at = atMs + GAP_MS - ahead;
      if (at > now && at < next) next = at;
    }
    if (next === Infinity) return;
    this.fading = setTimeout(() => {
      this.fading = undefined;
      this.drawSoon();
    }, next - now + FADE_LATE_MS);
  }

  /** Seconds of the shader begin here: as 32 bits they hold a day to a hundredth. */
  private epoch = performance.now();

  /** By itself, or as the map is drawn: then in the same frame, so that both go together. */
  private readonly draw = (): void => {
    const { map, canvas, origin } = this;
    const asked = this.frame !== undefined;
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    this.frame = undefined;
    // The first view need not wait for it: nothing is made before something moves.
    if (map === undefined || canvas.hidden || (this.gl === null && this.motions.size === 0)) return;
    const gl = this.make();
    if (gl === null) return;
    const below = map.getCanvas();
    const [pixels, { lng, lat }] = [worldPixels(map), map.getCenter()];
    const view = `${lng} ${lat} ${pixels} ${below.width} ${below.height}`;
    if (!asked && view === this.view) return;
    this.view = view;
    const uniforms = (this.uniforms ??= this.use(gl, this.program!));
    if (canvas.width !== below.width || canvas.height !== below.height) {
      [canvas.width, canvas.height] = [below.width, below.height];
      [canvas.style.width, canvas.style.height] = [below.style.width, below.style.height];
      gl.viewport(0, 0, canvas.width, canvas.height);
    }
    const now = performance.now();
    if (now - this.epoch > 3_600_000) {
      this.epoch = now;
      this.changed = true;
    }
    if (this.changed || this.to > 0) this.upload(gl);
    const [wide, high] = [below.clientWidth / 2, below.clientHeight / 2];
    const [x, y] = [(origin[0] - mercatorX(lng)) * pixels, (origin[1] - mercatorY(lat)) * pixels];
    gl.uniform2f(uniforms.u_origin, x / wide, -y / high);
    gl.uniform2f(uniforms.u_scale, pixels / wide, -pixels / high);
    gl.uniform1f(uniforms.u_now, (now - this.epoch) / 1000);
    gl.uniform1f(uniforms.u_size, Math.min(18, Math.max(12, 18 + (map.getZoom() - 15) * 3)) * devicePixelRatio);
    gl.uniform3fv(uniforms.u_colour, this.colour);
    gl.uniform3fv(uniforms.u_ring, this.ring);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.drawArrays(gl.POINTS, 0, this.motions.size);
    if (this.moving > now) this.drawSoon();
    else this.fadeLater(now);
  };
}
