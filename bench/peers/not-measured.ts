/** Why a peer is not measured; its message goes into the report. */
export class NotMeasured extends Error {
  override name = "NotMeasured";
}
