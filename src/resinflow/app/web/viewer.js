// The image with the outlines of the fibres upon it: zoom, shift, and the tools that draw on it.
// With the keyboard, arrows move a cross and Enter does what a click, or the ends of a drag, would do.
// All lengths that go to the server are in pixels of the image.
export default {
  template: `
    <div class="rf-viewer" ref="box" tabindex="0" role="application" :aria-label="label" :data-tool="tool"
         @wheel.prevent="wheel" @keydown="key" @pointerdown="down" @pointermove="move" @pointerup="up"
         @pointercancel="cancel" @pointerleave="leave" @dblclick="fit">
      <div class="rf-plane" :style="{transform: 'translate(' + left + 'px,' + top + 'px)', width: width * zoom + 'px', height: height * zoom + 'px'}">
        <img v-if="width" :src="picture" draggable="false" :alt="'slice ' + slice + ' of the image'" @load="loaded = true">
        <svg v-if="width" :viewBox="'0 0 ' + width + ' ' + height" aria-hidden="true">
          <path v-if="crop" class="rf-shade" fill-rule="evenodd" :d="frame(crop, true)"/>
          <path v-if="crop" class="rf-crop" :d="frame(crop, false)"/>
          <g v-show="outlines">
            <path class="rf-halo" :d="path"/>
            <path class="rf-outline" :d="path"/>
          </g>
          <path v-if="drag && tool === 'crop'" class="rf-crop" :d="frame(rectangle(), false)"/>
          <g v-if="line">
            <line class="rf-halo" :x1="line[0]" :y1="line[1]" :x2="line[2]" :y2="line[3]"/>
            <line class="rf-line" :x1="line[0]" :y1="line[1]" :x2="line[2]" :y2="line[3]"/>
          </g>
          <polyline v-if="stroke.length" :class="'rf-stroke ' + tool" :points="stroke.map(p => p.join(',')).join(' ')"
                    :stroke-width="2 * brush"/>
          <circle v-if="cursor && paints" class="rf-brush" :cx="cursor[0]" :cy="cursor[1]" :r="brush"/>
          <path v-if="cursor && keys" class="rf-line" :d="cross()"/>
          <circle v-if="mark" class="rf-mark" :cx="mark[0]" :cy="mark[1]" :r="mark[2]"/>
        </svg>
      </div>
      <div class="rf-zoom">
        <button type="button" title="zoom in (+)" aria-label="zoom in" @click.stop="scale(1.4)" @pointerdown.stop>+</button>
        <button type="button" title="zoom out (-)" aria-label="zoom out" @click.stop="scale(1 / 1.4)" @pointerdown.stop>&minus;</button>
        <button type="button" title="whole image (0)" aria-label="whole image" @click.stop="fit" @pointerdown.stop><svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4" fill="none" stroke="currentColor" stroke-width="1.8"/></svg></button>
      </div>
      <div class="rf-readout" :aria-hidden="!keys" aria-live="polite">{{ readout }}</div>
    </div>`,
  props: {
    base: String, width: Number, height: Number, slices: Number, slice: Number, look: String, read: String, pages: Number,
    outlines: Boolean, tool: String, crop: Array, brush: Number, pixel: Number, mark: Array, label: String,
  },
  emits: ["measure", "crop", "slip", "stroke", "pick", "slice"],
  data: () => ({zoom: 1, left: 0, top: 0, drag: null, line: null, stroke: [], cursor: null, keys: false, path: "", fitted: true, loaded: false}),
  computed: {
    picture() { return this.base + "view/slice-" + this.pad(this.slice) + ".png?v=" + this.look; },
    paints() { return this.tool === "add" || this.tool === "erase"; },
    readout() {
      if (!this.cursor) return "";
      const [x, y] = this.cursor.map(Math.floor);
      if (x < 0 || y < 0 || x >= this.width || y >= this.height) return "";
      if (this.drag && this.tool === "measure" && this.line) return this.length(this.line).toFixed(1) + " pixels";
      if (this.drag && this.tool === "crop") { const r = this.rectangle(); return (r[2] - r[0]) + " x " + (r[3] - r[1]) + " pixels"; }
      return "x " + x + ", y " + y;
    },
  },
  watch: {
    slice() { this.outline(); }, read() { this.outline(); },
    look() { this.line = null; this.$nextTick(this.fit); }, width() { this.$nextTick(this.fit); },
    tool() { this.stroke = []; this.drag = null; if (this.tool !== "measure") this.line = null; },
  },
  mounted() {
    this.observer = new ResizeObserver(() => { if (this.fitted) this.fit(); });
    this.observer.observe(this.$refs.box);
    this.fit();
    this.outline();
  },
  unmounted() { this.observer.disconnect(); },
  methods: {
    pad(n) { return String(n).padStart(4, "0"); },
    length(l) { return Math.hypot(l[2] - l[0], l[3] - l[1]); },
    async outline() {
      const wanted = this.read + "/" + this.slice;
      this.wanted = wanted;
      if (!this.read) { this.path = ""; return; }
      const page = Math.min(this.slice, this.pages - 1);
      try {
        const reply = await fetch(this.base + "fibres/outline-" + this.pad(page) + ".json?v=" + this.read);
        const paths = reply.ok ? (await reply.json()).paths : [];
        if (this.wanted === wanted) this.path = paths.join("");
      } catch (error) { if (this.wanted === wanted) this.path = ""; }
    },
    fit() {
      const box = this.$refs.box;
      if (!box || !this.width) return;
      this.zoom = Math.min(box.clientWidth / this.width, box.clientHeight / this.height);
      this.left = (box.clientWidth - this.width * this.zoom) / 2;
      this.top = (box.clientHeight - this.height * this.zoom) / 2;
      this.fitted = true;
    },
    scale(factor, x, y) {
      const box = this.$refs.box;
      if (x === undefined) { x = box.clientWidth / 2; y = box.clientHeight / 2; }
      const zoom = Math.min(Math.max(this.zoom * factor, 0.02), 80);
      this.left = x - (x - this.left) * zoom / this.zoom;
      this.top = y - (y - this.top) * zoom / this.zoom;
      this.zoom = zoom;
      this.fitted = false;
    },
    place(e) { const r = this.$refs.box.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; },
    pixelOf(e) { const [x, y] = this.place(e); return [(x - this.left) / this.zoom, (y - this.top) / this.zoom]; },
    wheel(e) { const [x, y] = this.place(e); this.scale(Math.exp(-e.deltaY / 400), x, y); },
    key(e) {
      const steps = {ArrowUp: 1, PageUp: 1, ArrowRight: 1, ArrowDown: -1, PageDown: -1, ArrowLeft: -1};
      const ways = {ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowDown: [0, 1], ArrowLeft: [-1, 0]};
      if (e.target !== this.$refs.box || e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.key in ways && (this.tool !== "look" || e.shiftKey)) this.step(ways[e.key], this.tool !== "look" && e.shiftKey ? 10 : this.tool === "look" ? 5 : 1);
      else if (e.key === "Enter" || e.key === " ") this.act();
      else if (e.key in steps && this.slices > 1) this.$emit("slice", Math.min(Math.max(this.slice + steps[e.key], 0), this.slices - 1));
      else if (e.key === "+" || e.key === "=") this.scale(1.4);
      else if (e.key === "-") this.scale(1 / 1.4);
      else if (e.key === "0") this.fit();
      else if (e.key === "Escape") this.cancel();
      else return;
      e.preventDefault();
    },
    step([dx, dy], size) {
      const [x, y] = this.cursor || [Math.floor(this.width / 2) + 0.5, Math.floor(this.height / 2) + 0.5];
      this.keys = true;
      this.cursor = this.clamp([x + dx * size, y + dy * size]);
      if (this.drag && this.tool === "measure") this.line = [...this.drag.from, ...this.cursor];
    },
    act() {
      if (!this.width) return;
      if (!this.cursor) this.step([0, 0], 0);
      const [x, y] = this.cursor;
      if (this.tool === "look") this.$emit("pick", {x, y, tool: this.tool});
      else if (this.paints) this.$emit("stroke", {points: [[x, y]], radius: this.brush, tool: this.tool});
      else if (this.drag) { this.finish(); this.drag = null; }
      else { this.drag = {from: [x, y]}; if (this.tool === "measure") this.line = [x, y, x, y]; }
    },
    finish() {
      if (this.tool === "measure") {
        if (this.length(this.line) > 2) this.$emit("measure", {pixels: this.length(this.line)});
        else { this.line = null; this.$emit("slip", this.tool); }
      } else if (this.tool === "crop") {
        const r = this.rectangle();
        this.$emit(r[2] - r[0] > 2 && r[3] - r[1] > 2 ? "crop" : "slip", r[2] - r[0] > 2 && r[3] - r[1] > 2 ? r : this.tool);
      }
    },
    cross() {
      const [x, y] = this.cursor, r = 12 / this.zoom;
      return "M" + (x - r) + " " + y + "h" + 2 * r + "M" + x + " " + (y - r) + "v" + 2 * r;
    },
    leave() { if (!this.keys) this.cursor = null; },
    clamp([x, y]) { return [Math.min(Math.max(x, 0), this.width), Math.min(Math.max(y, 0), this.height)]; },
    rectangle() {
      const [a, b] = [this.clamp(this.drag.from), this.clamp(this.cursor)];
      return [Math.floor(Math.min(a[0], b[0])), Math.floor(Math.min(a[1], b[1])), Math.ceil(Math.max(a[0], b[0])), Math.ceil(Math.max(a[1], b[1]))];
    },
    frame(corners, outside) {
      const r = [...this.clamp(corners.slice(0, 2)), ...this.clamp(corners.slice(2))];
      const inner = "M" + r[0] + " " + r[1] + "H" + r[2] + "V" + r[3] + "H" + r[0] + "Z";
      return (outside ? "M0 0H" + this.width + "V" + this.height + "H0Z" : "") + inner;
    },
    down(e) {
      if (e.button > 1 || !this.width) return;
      this.keys = false;
      this.$refs.box.setPointerCapture(e.pointerId);
      this.cursor = this.pixelOf(e);
      this.drag = {from: this.cursor, start: this.place(e), corner: [this.left, this.top], shifts: e.button === 1 || this.tool === "look"};
      if (this.drag.shifts) return;
      if (this.tool === "measure") this.line = [...this.cursor, ...this.cursor];
      if (this.paints) this.stroke = [this.cursor, this.cursor];
    },
    move(e) {
      if (this.keys && !e.movementX && !e.movementY) return;
      if (this.keys) { this.keys = false; this.drag = null; }
      this.cursor = this.pixelOf(e);
      if (!this.drag) return;
      if (this.drag.shifts) {
        const [x, y] = this.place(e);
        if (Math.hypot(x - this.drag.start[0], y - this.drag.start[1]) < 4 && !this.drag.moved) return;
        this.drag.moved = true;
        this.left = this.drag.corner[0] + x - this.drag.start[0];
        this.top = this.drag.corner[1] + y - this.drag.start[1];
        this.fitted = false;
      } else if (this.tool === "measure") {
        let [x, y] = this.cursor;
        if (e.shiftKey || Math.abs(y - this.line[1]) < 4 / this.zoom) y = this.line[1];  // scale bars lie level
        this.line = [this.line[0], this.line[1], x, y];
      } else if (this.paints) {
        const last = this.stroke[this.stroke.length - 1];
        if (Math.hypot(this.cursor[0] - last[0], this.cursor[1] - last[1]) > Math.max(this.brush / 4, 0.25)) this.stroke = [...this.stroke, this.cursor];
      }
    },
    up(e) {
      const drag = this.drag;
      if (!drag) return;
      const [x, y] = this.cursor;
      if (drag.shifts) { if (!drag.moved && e.button === 0) this.$emit("pick", {x, y, tool: this.tool}); }
      else if (!this.paints) this.finish();
      else this.$emit("stroke", {points: this.stroke.slice(1), radius: this.brush, tool: this.tool});
      this.drag = null;
      this.stroke = [];
    },
    cancel() { this.keys = false; this.drag = null; this.stroke = []; this.line = null; },
  },
};
