import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRefusal, type ErrorName } from "../src/errors.ts";
import { SeenPosts, type OpenPost } from "../src/http/ingest/seen-posts.ts";

const windowMs = 1000;
const now = 1_000_000;
const finish = (post: OpenPost): Promise<void> => Promise.resolve(post.finish());
const refuses = (promise: Promise<unknown>, name: ErrorName): Promise<void> =>
  assert.rejects(promise, (error) => isRefusal(error, name));

describe("a post counts once", () => {
  test("within the window of its signature, and not outside it", async () => {
    const seen = new SeenPosts({ windowMs, maxPosts: 10 });
    await seen.once({ id: "a", signedAtMs: now }, now, finish);
    await refuses(seen.once({ id: "a", signedAtMs: now }, now + windowMs, finish), "post_replayed");
    await refuses(seen.once({ id: "a", signedAtMs: now }, now + windowMs + 1, finish), "signature_expired");
    await refuses(seen.once({ id: "b", signedAtMs: now + 301_000 }, now, finish), "signature_expired");
    await refuses(seen.once({ id: "b", signedAtMs: Number.NaN }, now, finish), "signature_expired");
  });

  test("one that failed may come again, one that is being worked on has to wait", async () => {
    const seen = new SeenPosts({ windowMs, maxPosts: 10 });
    const identity = { id: "a", signedAtMs: now };
    const { promise, reject } = Promise.withResolvers<void>();
    const first = seen.once(identity, now, () => promise);
    await refuses(seen.once(identity, now, finish), "unavailable");
    reject(new Error("a fault of ours"));
    await assert.rejects(first, /a fault of ours/);
    await seen.once(identity, now, finish);
    await refuses(seen.once(identity, now, finish), "post_replayed");
  });

  test("one that was stored for some is remembered for them", async () => {
    const seen = new SeenPosts({ windowMs, maxPosts: 10 });
    const identity = { id: "a", signedAtMs: now };
    const partly = async (post: OpenPost): Promise<void> => {
      post.keep(["ann"]);
      await Promise.reject(new Error("bob is full"));
    };
    await assert.rejects(seen.once(identity, now, partly));
    await seen.once(identity, now, (post) => {
      assert.deepEqual([...post.stored], ["ann"]);
      return finish(post);
    });
    await refuses(seen.once(identity, now, finish), "post_replayed");
  });

  test("also when more posts came than are remembered: what is forgotten counts no more at all", async () => {
    const seen = new SeenPosts({ windowMs, maxPosts: 100 });
    const identities = Array.from({ length: 300 }, (_, at) => ({ id: `${at}`, signedAtMs: now + at }));
    for (const identity of identities) await seen.once(identity, now + 300, finish);
    let replayed = 0;
    for (const identity of identities) {
      await assert.rejects(seen.once(identity, now + 300, finish), (error) => {
        if (isRefusal(error, "post_replayed")) replayed++;
        return isRefusal(error, "post_replayed") || isRefusal(error, "signature_expired");
      });
    }
    assert.equal(replayed, 100);
    await seen.once({ id: "new", signedAtMs: now + 300 }, now + 300, finish);
  });
});
