import { assert, describe, it } from "@effect/vitest"
import { backendCandidates, hpbSocketUrl } from "../../src/layers/BackendUrls.ts"

describe("names of the Nextcloud server", () => {
  it("tries what the admin configured and nothing else", () => {
    assert.deepStrictEqual(
      backendCandidates({
        configured: "https://cloud.example.com",
        absoluteUrl: "https://other.example.com",
        nextcloudUrl: "http://nextcloud",
        hpbUrl: "https://hpb.example.com"
      }),
      ["https://cloud.example.com/"]
    )
    assert.deepStrictEqual(backendCandidates({ configured: "http://[", nextcloudUrl: "https://cloud" }), [])
  })

  it("asks AppAPI's answer first, then NEXTCLOUD_URL as https and as http, then the origin of the HPB", () => {
    assert.deepStrictEqual(
      backendCandidates({
        absoluteUrl: "https://cloud.example.com/nextcloud/index.php",
        nextcloudUrl: "http://nextcloud.local:8080/nextcloud/",
        hpbUrl: "wss://hpb.example.com/standalone-signaling/spreed"
      }),
      [
        "https://cloud.example.com/nextcloud/",
        "https://nextcloud.local:8080/nextcloud/",
        "http://nextcloud.local:8080/nextcloud/",
        "https://hpb.example.com/"
      ]
    )
  })

  it("tries each name once", () => {
    assert.deepStrictEqual(
      backendCandidates({
        absoluteUrl: "https://Cloud.Example.com:443/ocs/v2.php/apps/spreed/api/v3/signaling/backend",
        nextcloudUrl: "http://cloud.example.com/index.php/",
        hpbUrl: "https://cloud.example.com/standalone-signaling/"
      }),
      ["https://cloud.example.com/", "http://cloud.example.com/"]
    )
  })

  it("leaves out what is no address", () => {
    assert.deepStrictEqual(
      backendCandidates({ configured: " ", absoluteUrl: "", nextcloudUrl: "ftp://cloud", hpbUrl: undefined }),
      []
    )
  })
})

describe("the HPB's websocket", () => {
  for (const [given, url] of [
    ["https://cloud.example.com/standalone-signaling/", "wss://cloud.example.com/standalone-signaling/spreed"],
    ["http://127.0.0.1:8080", "ws://127.0.0.1:8080/spreed"],
    ["wss://hpb.example.com/spreed", "wss://hpb.example.com/spreed"],
    ["HTTPS://hpb.example.com/spreed/", "wss://hpb.example.com/spreed"],
    ["ws://hpb:8081/a/b//", "ws://hpb:8081/a/b/spreed"],
    [" hpb.example.com ", "wss://hpb.example.com/spreed"]
  ] as const) {
    it(`is found from ${given}`, () => {
      assert.strictEqual(hpbSocketUrl(given), url)
    })
  }
})
