import { useLoaded } from './loaded.ts'
import { useNavigation } from './navigation.tsx'
import { remembered, useTrust } from './pinned.tsx'
import { newestTree } from './signed_tree.ts'
import { Shown } from './state_words.tsx'
import { utcTime } from './time.tsx'
import { Uncompared, Unpinned } from './verdict.tsx'
import { ago, freshness } from './freshness.ts'
import { count, figure } from '../../ledger/words.ts'

/** Who cosigned the newest tree and how fresh that is, as this page checked it: not as the broker says. */
export function Witnesses({ now }: { now: number }) {
  const { bank } = useNavigation().place
  const { crypto, policy, pin } = useTrust()
  const newest = useLoaded(policy && `${bank} ${pin?.at}`, async () => {
    if (policy === undefined) throw new Error('no policy is pinned')
    return newestTree(crypto, { bank, policy, remembered })
  })
  return (
    <section class="card" aria-labelledby="witnesses-title" id="witnesses">
      <h2 id="witnesses-title">Ledger and witnesses</h2>
      {policy === undefined ? (
        <Unpinned />
      ) : (
        <Shown loaded={newest} what="checkpoint">
          {({ checkpoint, cosigners, compared }) => (
            <>
              <p class="ok">
                <strong>
                  ✓ The newest signed tree has {count(checkpoint.size, 'entry', 'entries')}
                </strong>
              </p>
              <p>
                {compared.status === 'passed'
                  ? 'It extends the largest tree that this browser has seen.'
                  : compared.detail}
              </p>
              {policy.witnesses.size === 0 ? (
                <p>
                  Your policy names no witness: nobody but the operator vouches that others are
                  shown the same tree.
                </p>
              ) : (
                <ul class="checks">
                  {[...policy.witnesses.keys()].map((name) => {
                    const time = cosigners.find((one) => one.name === name)?.time
                    return (
                      <li key={name} data-status={freshness(time, now)}>
                        <span aria-hidden="true">{time === undefined ? '–' : '✓'}</span>
                        <span>
                          <bdi>{name}</bdi>{' '}
                          {time === undefined
                            ? 'has not cosigned this tree'
                            : `cosigned ${ago(time, now)}, at ${utcTime(new Date(time * 1000).toISOString())}`}
                        </span>
                      </li>
                    )
                  })}
                </ul>
              )}
              <p class="small soft">
                Quorum of your policy: {policy.quorum}; {figure(cosigners.length)} of{' '}
                {figure(policy.witnesses.size)} cosigned.
              </p>
              <Uncompared />
            </>
          )}
        </Shown>
      )}
    </section>
  )
}
