// Preloaded into a server (`--import`): its clock jumps by hours, forwards and backwards, several times a second.
// `FAULTS_CLOCK_HOURS` is how far at most; all threads jump alike. With `FAULTS_CLOCK_FIXED` it stands that far ahead.

const hourMs = 3_600_000;
const stretchMs = 250;
const mostHours = Number(process.env["FAULTS_CLOCK_HOURS"] ?? 0);
const isFixed = process.env["FAULTS_CLOCK_FIXED"] !== undefined;
const now = Date.now.bind(Date);

function offsetMs(realMs: number): number {
  if (isFixed) return mostHours * hourMs;
  // Any well-mixed function of the stretch: Knuth's multiplicative hash.
  const mixed = Math.imul(Math.floor(realMs / stretchMs), 2_654_435_761) >>> 0;
  return Math.round((mixed / 2 ** 31 - 1) * mostHours * hourMs);
}

Date.now = () => {
  const realMs = now();
  return realMs + offsetMs(realMs);
};
