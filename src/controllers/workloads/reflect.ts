// @peculiar/x509 finds its algorithms by a container that insists on the reflect-metadata polyfill, and asks it only
// whether a class has constructor parameters to be injected. None has; this says so, and saves a package.

const answers: Readonly<Record<string, () => undefined>> = {
  getMetadata: () => undefined,
  getOwnMetadata: () => undefined,
  defineMetadata: () => undefined,
};

for (const [name, value] of Object.entries(answers)) {
  if (!(name in Reflect)) Object.defineProperty(Reflect, name, { value, configurable: true, writable: true });
}
