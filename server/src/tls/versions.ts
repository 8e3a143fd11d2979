/** TLS 1.0 and 1.1 are not spoken (RFC 8996). */
export const minVersion = "TLSv1.2";
