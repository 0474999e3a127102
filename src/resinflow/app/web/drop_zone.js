// Takes files that are dropped or chosen, and sends them one by one as they are.
export default {
  template: `
    <label class="rf-drop" :class="{over, busy: sent !== null}" @dragenter.prevent="over = true" @dragover.prevent="over = true"
           @dragleave.prevent="over = false" @drop.prevent="dropped">
      <input ref="input" type="file" multiple :accept="kinds" @change="chosen" :aria-label="title" :disabled="sent !== null">
      <span class="rf-drop-title">{{ sent === null ? title : 'Sending ' + Math.round(100 * sent) + ' %' }}</span>
      <span class="rf-drop-text" v-if="sent === null">{{ text }}</span>
      <progress v-else :value="sent" max="1" aria-label="part of the files that was sent"></progress>
    </label>`,
  props: {base: String, kinds: String, title: String, text: String},
  emits: ["sent", "refused"],
  data: () => ({over: false, sent: null}),
  methods: {
    dropped(e) { this.over = false; this.send([...e.dataTransfer.files]); },
    chosen(e) { const files = [...e.target.files]; e.target.value = ""; this.send(files); },
    async send(files) {
      if (!files.length || this.sent !== null) return;
      this.sent = 0;
      const total = files.reduce((sum, file) => sum + file.size, 0) || 1;
      let before = 0;
      try {
        for (const [number, file] of files.entries()) {
          await this.put(file, number, total, before);
          before += file.size;
        }
        this.$emit("sent", files.length);
      } catch (error) {
        this.$emit("refused", String(error.message || error));
      }
      this.sent = null;
    },
    put(file, number, total, before) {
      return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open("PUT", this.base + "files/" + number + "?name=" + encodeURIComponent(file.name) + "&total=" + total);
        request.upload.onprogress = (e) => { this.sent = Math.min((before + e.loaded) / total, 1); };
        request.onload = () => request.status === 200 ? resolve() : reject(new Error(request.responseText || "the upload was refused"));
        request.onerror = () => reject(new Error("the upload was broken off; try again."));
        request.send(file);
      });
    },
  },
};
