/** An object of exactly one of these fields. */
export type OneOf<Fields> = {
  [Name in keyof Fields]: Readonly<Record<Name, Fields[Name]>> &
    Readonly<Partial<Record<Exclude<keyof Fields, Name>, never>>>;
}[keyof Fields];
