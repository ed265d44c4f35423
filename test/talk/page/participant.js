/**
 * A participant in a browser, as Talk's page is one: hello 1.0, a room, a microphone published through Janus, captions rendered as Talk
 * renders them. Driven by the proof through `window.participant`.
 */
import { makeOverlay } from "./Overlay.js"

const people = new Map()
const names = new Map()
const waiting = new Map()
let ids = 0
let socket
let self = ""
let sid = ""
let peer
let microphone

const knows = (speaker) => {
  const person = people.get(speaker)
  return person !== undefined && speaker !== self && !person.internal && (person.inCall & 1) === 1
}
const overlay = makeOverlay(knows)

/** Every block with its author: what stands here is what is judged. */
const render = () => {
  const captions = document.querySelector("#captions")
  captions.replaceChildren(
    ...overlay.blocks.map((block) => {
      const element = document.createElement("div")
      element.className = "block"
      element.dataset.speaker = block.speaker
      const author = document.createElement("div")
      author.className = "author"
      author.textContent = names.get(block.speaker) ?? "?"
      const text = document.createElement("div")
      text.className = "text"
      text.lang = block.chunks[0].langId.replace("_", "-")
      text.textContent = overlay.textOf(block)
      element.append(author, text)
      return element
    })
  )
}

const merge = (event) => {
  for (const { sessionid, user } of event.join ?? []) {
    if (!people.has(sessionid)) people.set(sessionid, { inCall: 0, internal: false })
    if (user?.displayname) names.set(sessionid, user.displayname)
  }
  for (const session of event.leave ?? []) people.delete(session)
  if (event.update?.all) for (const person of people.values()) person.inCall = 0
  for (const { inCall = 0, internal = false, sessionId } of event.update?.users ?? []) {
    if (sessionId) people.set(sessionId, { inCall, internal })
  }
}

const onPeerMessage = async ({ payload, type }) => {
  if (type === "answer") await peer.setRemoteDescription({ type: "answer", sdp: payload.sdp })
  if (type === "candidate" && payload.candidate?.candidate) await peer.addIceCandidate(payload.candidate)
}

const onMessage = ({ data }) => {
  const message = JSON.parse(data)
  waiting.get(message.id)?.(message)
  if (message.type === "event") merge(message.event)
  if (message.type !== "message") return
  if (message.message.data.type === "transcript") {
    overlay.receive(message.message.data)
    render()
  } else if (message.message.sender.sessionid === self) void onPeerMessage(message.message.data)
}

const request = (message) => {
  const id = String(++ids)
  return new Promise((resolve, reject) => {
    waiting.set(id, (answer) => (answer.error ? reject(new Error(answer.error.code)) : resolve(answer)))
    socket.send(JSON.stringify({ id, ...message }))
  })
}
const toMcu = (data) => {
  const message = {
    recipient: { type: "session", sessionid: self },
    data: { to: self, sid, roomType: "video", ...data }
  }
  socket.send(JSON.stringify({ id: String(++ids), type: "message", message }))
}

window.participant = {
  async connect({ backend, hpb, ncSession, room, userId }) {
    socket = new WebSocket(hpb)
    socket.onmessage = onMessage
    await new Promise((resolve, reject) => {
      socket.onopen = resolve
      socket.onerror = reject
    })
    const url = new URL("ocs/v2.php/apps/spreed/api/v3/signaling/backend", backend).href
    const auth = { url, params: { userid: userId, ticket: "good" } }
    const { hello } = await request({ type: "hello", hello: { version: "1.0", auth } })
    self = hello.sessionid
    await request({ type: "room", room: { roomid: room, sessionid: ncSession } })
    return self
  },
  /** Publishes the microphone; called again, it closes the old connection and makes a new one, and tells nobody. */
  async publish() {
    if (peer !== undefined) {
      peer.close()
      // Until Janus has hung up, a new offer would be taken for a renegotiation of the dead connection.
      await new Promise((resolve) => setTimeout(resolve, 1500))
    }
    const processing = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }
    microphone ??= await navigator.mediaDevices.getUserMedia({ audio: processing })
    sid = String(Math.random()).slice(2)
    const connection = new RTCPeerConnection({ iceServers: [] })
    peer = connection
    connection.onicecandidate = ({ candidate }) => {
      if (candidate) toMcu({ type: "candidate", payload: { candidate: candidate.toJSON() } })
    }
    for (const track of microphone.getTracks()) connection.addTrack(track, microphone)
    await connection.setLocalDescription(await connection.createOffer())
    toMcu({ type: "offer", payload: { nick: "speaker", type: "offer", sdp: connection.localDescription.sdp } })
    for (let i = 0; i < 200 && connection.connectionState !== "connected"; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return connection.connectionState
  },
  /** The text on the page, block by block, and what was ever taken back. */
  shown: () => ({
    blocks: [...document.querySelectorAll(".block")].map((block) => ({
      speaker: block.dataset.speaker,
      text: block.querySelector(".text").textContent
    })),
    rewrites: overlay.rewrites
  })
}
