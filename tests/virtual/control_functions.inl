// Functions with as much control flow as fits, compiled for the host by the test and for the virtual
// device by nvcc. FUNCTION is the qualifier; the text is both included and passed on as a string.
FUNCTION int nested_branches(int x) {
  int r = 0;
  if (x & 1) {
    r += 3;
    if (x & 2) {
      r *= 5;
      if (x & 4) r -= x; else r += x;
    } else if (x & 8) {
      r ^= 77;
    }
  } else {
    for (int i = 0; i < (x & 7); ++i) {
      if (i == (x >> 3 & 3)) continue;
      r += i * x;
      if (r > 1000) break;
    }
  }
  return r;
}

FUNCTION int collatz(int x) {
  unsigned n = (unsigned)x % 1000u + 1u;
  int steps = 0;
  while (n != 1) {
    n = n & 1 ? 3 * n + 1 : n / 2;
    ++steps;
  }
  return steps;
}

FUNCTION int early_returns(int x) {
  if (x % 7 == 0) return 7;
  for (int i = 2; i < 40; ++i) {
    if (x % i == 1) return i;
    if (x % (i + 3) == 2) {
      if (i & 1) return -i;
      x += i;
    }
  }
  return x;
}

FUNCTION int switches(int x) {
  int r = 0;
  for (int i = 0; i < 9; ++i) {
    switch ((x + i) % 11) {
      case 0: r += 1; break;
      case 1: r -= x; break;
      case 2: r ^= i;  // falls through
      case 3: r += 100; break;
      case 4: r *= 3; break;
      case 5: return r;
      case 6: r = r / 2 + i; break;
      case 7: r = -r; break;
      case 8: continue;
      default: r += 10; break;
    }
    r += 1;
  }
  return r;
}

FUNCTION int local_array(int x) {
  int values[24];
  for (int i = 0; i < 24; ++i) values[i] = (x * 31 + i * 17) % 101;
  for (int i = 1; i < 24; ++i) {
    const int v = values[i];
    int j = i - 1;
    for (; j >= 0 && values[j] > v; --j) values[j + 1] = values[j];
    values[j + 1] = v;
  }
  int r = 0;
  for (int i = 0; i < 24; ++i) r = r * 3 + values[i];
  return r + values[(x & 0x7fffffff) % 24];
}

FUNCTION int recursive(int n) {
  if (n < 2) return n;
  return recursive(n - 1) + recursive(n - 2);
}

FUNCTION int ackermann_like(int m, int n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann_like(m - 1, 1);
  return ackermann_like(m - 1, ackermann_like(m, n - 1));
}

struct Mixed {
  char c;
  short s;
  int i;
  long long l;
  float f;
  double d;
};

FUNCTION Mixed mixed(Mixed m, int x) {
  m.c = (char)(m.c + x);
  m.s = (short)(m.s * 3);
  m.i ^= x;
  m.l += (long long)x * x;
  m.f *= 0.5f;
  m.d -= x;
  return m;
}

FUNCTION int structs(int x) {
  Mixed m = {(char)x, (short)(x * 7), x, (long long)x << 20, (float)x, (double)x};
  for (int i = 0; i < 5; ++i) m = mixed(m, x + i);
  return m.c + m.s + m.i + (int)m.l + (int)m.f + (int)m.d;
}

FUNCTION unsigned long long wide_arithmetic(int x) {
  unsigned long long a = (unsigned long long)(unsigned)x * 0x9e3779b97f4a7c15ull + 12345;
  a = (a / 1234567u) ^ (a % 98765u) ^ (a << 13) ^ (a >> 7);
  const long long b = (long long)a;
  return (unsigned long long)(b / 1013 - b % 509) + (unsigned long long)(b >> 3);
}
