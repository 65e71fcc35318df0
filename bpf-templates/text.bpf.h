/* Comparing text. Rooms are multiples of 8 bytes and text ends with a NUL inside them. */
INLINE bool same_text(const char *a, const char *b, u32 size)
{
	for (u32 i = 0; i < size; i++) {
		char c = a[i];
		if (c != b[i])
			return false;
		if (!c)
			return true;
	}
	return false;
}

/* A pattern as an automaton: bit j of `states` says that the first j places of the pattern are matched. masks[c] has the
 * places that take the character c, `stars` those before which a * takes any. No branch depends on the text, so the
 * verifier has one path to follow. */
INLINE bool match_glob(const char *text, u32 size, const u64 *masks, u64 stars, u32 places)
{
	u64 states = 1;
	for (u32 i = 0; i < size; i++) {
		u8 c = (u8)text[i];
		if (!c)
			break;
		states = (states & masks[c]) << 1 | (states & stars);
	}
	return states >> places & 1;
}
