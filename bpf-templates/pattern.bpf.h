/* A pattern that is only known when the program is loaded: * and ? only. As match_glob(), but a place is a character of
 * the pattern, and a * is a place that takes any character and stays, or takes none. The table is made for each event in a
 * room that is all zero before and afterwards: some 60 steps, where testing each place for each character would be as
 * many for every character of the text. */
enum { PATTERN_PLACES = 63 };

/* From a * also the place behind it, and over a run of them: the carry of an addition crosses it. */
INLINE u64 skip_stars(u64 states, u64 stars)
{
	u64 on = states & stars;
	return states | on | ((stars + on) ^ stars);
}

INLINE bool match_pattern(u64 *masks, const char *text, u32 size, const char *pattern)
{
	u64 stars = 0, any = 0, end = 1;
	for (u32 j = 0; j < PATTERN_PLACES; j++) {
		u8 p = (u8)pattern[j];
		if (!p)
			break;
		if (p == '*')
			stars |= end;
		else if (p == '?')
			any |= end;
		else
			masks[p] |= end;
		end <<= 1;
	}
	u64 states = skip_stars(1, stars);
	for (u32 i = 0; i < size; i++) {
		u8 c = (u8)text[i];
		if (!c)
			break;
		states = skip_stars((states & (masks[c] | any)) << 1 | (states & stars), stars);
	}
	for (u32 j = 0; j < PATTERN_PLACES; j++)
		masks[(u8)pattern[j]] = 0;
	return (states & end) != 0;
}
