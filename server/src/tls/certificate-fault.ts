/** Why files are no certificate that can be served: one line for the operator, with the file's path and never its content. */
export class CertificateFault extends Error {
  override name = "CertificateFault";
}
