import type { ListedMail, MailQuery, Store } from "../../src/store/store.ts";

/** Ways to forget whose data it is, each of which the isolation tests must notice. */
export type Leak = "lists" | "details" | "routes" | "deletes" | "mailboxes";

/**
 * The same store without one of its walls. `lists` adds everybody's mails to every list; `details` shows everybody's mails by id; `routes` says that every
 * mailbox belongs to the intruder; `deletes` lets anybody delete; `mailboxes` lists everybody's.
 */
export function leakyStore(store: Store, leak: Leak, intruderId: () => number): Store {
  const broken: Partial<Store> = {
    ...(leak === "lists" && { listMails: (query) => listEverybodysMails(store, query) }),
    ...(leak === "details" && { describeMail: (key) => describeAnybodysMail(store, key) }),
    ...((leak === "routes" || leak === "deletes") && {
      route: async (address, nowMs) => {
        const route = await store.route(address, nowMs);
        return route.kind === "mailbox" ? { ...route, mailbox: { ...route.mailbox, userId: intruderId() } } : route;
      },
    }),
    ...(leak === "deletes" && {
      findMailbox: async (address, nowMs) => {
        const mailbox = await store.findMailbox(address, nowMs);
        return mailbox === null ? null : { ...mailbox, userId: intruderId() };
      },
      deleteMailbox: async (input) => {
        const mailbox = await store.findMailbox(input.address, input.nowMs);
        return store.deleteMailbox({ ...input, userId: mailbox?.userId ?? 0 });
      },
    }),
    ...(leak === "mailboxes" && { listMailboxes: ({ userId: _, ...query }) => store.listMailboxes(query) }),
  };
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(broken, name) ?? Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

async function listEverybodysMails(store: Store, query: MailQuery): Promise<ListedMail[]> {
  const users = await store.listUsers({ afterId: 0, limit: 100 });
  const lists = await Promise.all(
    users.map(async ({ id }) => await store.listMails({ ...query, userId: id, filters: null })),
  );
  return lists.flat();
}

async function describeAnybodysMail(
  store: Store,
  key: Parameters<Store["describeMail"]>[0],
): ReturnType<Store["describeMail"]> {
  const users = await store.listUsers({ afterId: 0, limit: 100 });
  const found = await Promise.all(users.map(({ id }) => store.describeMail({ ...key, userId: id, mailboxIds: null })));
  return found.find((mail) => mail !== null) ?? null;
}
