// Publishes a film by WHIP as OBS does, with the library that OBS does it with: libdatachannel.
// node obs.mjs MODULE URL KEY FILM, the film as tests/media/obs.py writes it, again and again until killed.
import { readFileSync } from "node:fs";

const [module, url, key, film] = process.argv.slice(2);
const { default: rtc } = await import(module);
const { video, audio } = JSON.parse(readFileSync(film));

const peer = new rtc.PeerConnection("obs", { iceServers: [], disableAutoNegotiation: true });

/** A track, and what sends frames of it `rate` times a second, each `ticks` of its clock long. */
function track(description, config, packetizer, ssrc, frames, rate, ticks) {
  description.addSSRC(ssrc, "obs", "stream", `stream-${description.mid()}`);
  packetizer.addToChain(new rtc.RtcpSrReporter(config));
  packetizer.addToChain(new rtc.RtcpNackResponder());
  const sender = peer.addTrack(description);
  sender.setMediaHandler(packetizer);
  const first = config.timestamp;
  const encoded = frames.map((frame) => Buffer.from(frame, "base64"));
  let sent = 0;
  return {
    open: () => sender.isOpen(),
    upTo(seconds) {
      for (; sent < seconds * rate; sent++) {
        config.timestamp = (first + sent * ticks) >>> 0;
        sender.sendMessageBinary(encoded[sent % encoded.length]);
      }
    },
  };
}

const sound = new rtc.Audio("0", "SendOnly");
sound.addOpusCodec(111);
const soundConfig = new rtc.RtpPacketizationConfig(7001, "obs", 111, 48_000);
const picture = new rtc.Video("1", "SendOnly");
picture.addH264Codec(96);
const pictureConfig = new rtc.RtpPacketizationConfig(7002, "obs", 96, 90_000);
const tracks = [
  track(sound, soundConfig, new rtc.RtpPacketizer(soundConfig), 7001, audio, 50, 960),
  track(picture, pictureConfig, new rtc.H264RtpPacketizer("StartSequence", pictureConfig, 1200), 7002, video, 30, 3000),
];

// The whole offer at once, without PATCH.
peer.onGatheringStateChange(async (state) => {
  if (state !== "complete") return;
  const headers = { "Content-Type": "application/sdp", Authorization: `Bearer ${key}` };
  const answer = await fetch(url, { method: "POST", body: peer.localDescription().sdp, headers });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  peer.setRemoteDescription(await answer.text(), "answer");
});
peer.setLocalDescription("offer");

let begun = null;
setInterval(() => {
  if (!tracks.every((one) => one.open())) return;
  begun ??= performance.now();
  for (const one of tracks) one.upTo((performance.now() - begun) / 1000);
}, 5);
