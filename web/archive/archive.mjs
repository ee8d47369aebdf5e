// Labs as octets: the packed form in a link, and zip archives. Entries are [path, Uint8Array]. What comes from outside
// is never unpacked beyond `limit` octets.
import { deflateSync, Inflate, unzipSync, zipSync, strFromU8, strToU8 } from 'fflate';

/// A text, deflated, in base64url.
export function pack(text) {
  const bytes = deflateSync(strToU8(text), { level: 9 });
  return btoa(strFromU8(bytes, true)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

export function unpack(packed, limit) {
  const bytes = strToU8(atob(packed.replaceAll('-', '+').replaceAll('_', '/')), true);
  const parts = [];
  let size = 0;
  let ended = false;
  const inflate = new Inflate((part, final) => {
    size += part.length;
    if (size > limit) throw new Error('too big');
    parts.push(part);
    ended ||= final;
  });
  // In small pieces, so that a bomb is noticed before it is large.
  for (let at = 0; at < bytes.length; at += 1024) {
    inflate.push(bytes.subarray(at, at + 1024), at + 1024 >= bytes.length);
  }
  if (!ended) throw new Error('cut short');
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(whole);
}

/// A zip archive of [path, text] entries. Its times are fixed: the same files give the same octets.
export function zip(entries) {
  const mtime = new Date(1980, 0, 2);
  const files = Object.fromEntries(entries.map(([path, text]) => [path, [strToU8(text), { mtime }]]));
  return zipSync(files, { level: 9 });
}

export function unzip(bytes, limit) {
  let size = 0;
  const files = unzipSync(bytes, {
    filter(file) {
      // The size that the archive claims is also the size of the buffer it is unpacked into.
      size += file.originalSize;
      if (size > limit) throw new Error('too big');
      return !file.name.endsWith('/');
    },
  });
  return Object.entries(files);
}
