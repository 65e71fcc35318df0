/* Arithmetic where the machine's or C's is not the script's. engine/probe/expr_fold.c does the same at generation. */
INLINE bool less_su(s64 a, u64 b)
{
	return a < 0 || (u64)a < b;
}

INLINE bool less_us(u64 a, s64 b)
{
	return b > 0 && a < (u64)b;
}

INLINE bool same_su(s64 a, u64 b)
{
	return a >= 0 && (u64)a == b;
}

/* BPF has no signed division before version 4 of its instructions. */
INLINE s64 divide_s(bool *ok, s64 a, s64 b)
{
	u64 x = a < 0 ? 0 - (u64)a : (u64)a, y = b < 0 ? 0 - (u64)b : (u64)b;
	if (!y) {
		*ok = false;
		return 0;
	}
	return (s64)((a < 0) != (b < 0) ? 0 - x / y : x / y);
}

INLINE s64 modulo_s(bool *ok, s64 a, s64 b)
{
	u64 x = a < 0 ? 0 - (u64)a : (u64)a, y = b < 0 ? 0 - (u64)b : (u64)b;
	if (!y) {
		*ok = false;
		return 0;
	}
	return (s64)(a < 0 ? 0 - x % y : x % y);
}

INLINE u64 divide_u(bool *ok, u64 a, u64 b)
{
	if (b)
		return a / b;
	*ok = false;
	return 0;
}

INLINE u64 modulo_u(bool *ok, u64 a, u64 b)
{
	if (b)
		return a % b;
	*ok = false;
	return 0;
}

INLINE u64 shift_left(u64 a, u64 n)
{
	return n >= 64 ? 0 : a << n;
}

INLINE u64 shift_right_u(u64 a, u64 n)
{
	return n >= 64 ? 0 : a >> n;
}

INLINE s64 shift_right_s(s64 a, u64 n)
{
	return a >> (n >= 64 ? 63 : n);
}
