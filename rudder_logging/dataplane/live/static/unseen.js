// Characters that nobody sees, but for what they do: here, they are shown as JSON writes them.

// What shows text in another order, or is not there to the eye, or a terminal would act on.
// The joiners are not among it: they are in many a word, and in emoji.
const UNSEEN = /[\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function visible(text) {
  return text.replace(UNSEEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
